"""The tensors of a checkpoint's weight files, one at a time.

Read are safetensors and pickles of tensors; written are safetensors.
"""

import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chmed_ner.errors import InputError, first_line
from chmed_ner.files import read_json, write_json

if TYPE_CHECKING:
    from torch import Tensor

INDEXES = ("model.safetensors.index.json", "pytorch_model.bin.index.json")
SINGLE = ("model.safetensors", "pytorch_model.bin")


def shard_files(folder: Path) -> list[Path]:
    """The weight files of a checkpoint, safetensors before pickles; InputError when any is absent.

    An index names the shards; without one there is a single file.
    """
    for index, single in zip(INDEXES, SINGLE, strict=True):
        if (folder / index).is_file():
            return _indexed(folder, folder / index)
        if (folder / single).is_file():
            return [folder / single]
    raise InputError(
        f"backbone.path={folder}: no weights there; give {' or '.join(SINGLE)}, or an index with "
        "its shards"
    )


def _indexed(folder: Path, index: Path) -> list[Path]:
    content = read_json(index)
    weights = content.get("weight_map") if isinstance(content, dict) else None
    if not isinstance(weights, dict) or not weights:
        raise InputError(f"{index}: has no weight_map")
    names = sorted({str(name) for name in weights.values()})
    for name in names:
        if Path(name).name != name:
            raise InputError(f"{index}: {name!r} is not in the checkpoint's folder")
        if not (folder / name).is_file():
            raise InputError(f"{folder / name}: no such file, but {index.name} names it")
    return [folder / name for name in names]


def tensors_in(file: Path) -> "Iterator[tuple[str, Tensor]]":
    """Name and tensor in turn, on the CPU, read when asked for; InputError for a broken file.

    A pickle is read by torch's restricted reader, which runs no code, and mapped into memory where
    its format allows. It is refused when it holds anything but tensors by name.
    """
    return _safetensors(file) if file.suffix == ".safetensors" else _pickled(file)


def _safetensors(file: Path) -> "Iterator[tuple[str, Tensor]]":
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(file, framework="pt") as opened:
            for name in opened.keys():  # noqa: SIM118 (not a mapping)
                yield name, opened.get_tensor(name)
    except (SafetensorError, OSError) as error:
        raise InputError(f"{file}: cannot be read ({error}); fetch it again") from None


def _pickled(file: Path) -> "Iterator[tuple[str, Tensor]]":
    import torch

    mapped = zipfile.is_zipfile(file)  # the format before torch 1.6 cannot be mapped
    try:
        content: Any = torch.load(file, map_location="cpu", weights_only=True, mmap=mapped)
    except Exception as error:  # broken, or refused by torch's reader
        raise _unreadable(file, error) from None
    if not isinstance(content, dict):
        raise InputError(f"{file}: holds a {type(content).__name__}, not tensors by name")
    for name, tensor in content.items():
        if not isinstance(name, str) or type(tensor) not in (torch.Tensor, torch.nn.Parameter):
            raise InputError(
                f"{file}: {name!r} is a {type(tensor).__name__}; a checkpoint that holds anything "
                "but tensors is not read"
            )
    yield from content.items()


def _unreadable(file: Path, error: Exception) -> InputError:
    if type(error).__name__ == "UnpicklingError":
        return InputError(
            f"{file}: this pickle holds something other than tensors, or is broken; nothing in it "
            "was run. Take the checkpoint from its publisher, best as safetensors"
        )
    return InputError(f"{file}: cannot be read ({first_line(error)}); fetch it again")


def write_shards(folder: Path, tensors: "dict[str, Tensor]", most_bytes: int) -> None:
    """Write `tensors` to safetensors files of up to `most_bytes`, with an index if several.

    One shard is in memory at a time; the tensors themselves may be mapped files.
    """
    from huggingface_hub import split_state_dict_into_shards_factory
    from safetensors.torch import save_file

    plan = split_state_dict_into_shards_factory(
        tensors,
        get_storage_size=lambda tensor: int(tensor.nbytes),
        filename_pattern="model{suffix}.safetensors",
        max_shard_size=most_bytes,
    )
    for name, inside in plan.filename_to_tensors.items():
        shard = {each: tensors[each].detach().clone().contiguous() for each in inside}
        save_file(shard, folder / name, metadata={"format": "pt"})
    if plan.is_sharded:
        index = {"metadata": plan.metadata, "weight_map": plan.tensor_to_filename}
        write_json(folder / "model.safetensors.index.json", index)
