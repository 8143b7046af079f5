"""An original checkpoint converted once into transformers' layout, kept as safetensors.

The copy is kept under the checksum of its source, so that a changed checkpoint is converted anew.
"""

import logging
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chmed_ner.errors import InputError
from chmed_ner.files import (
    cache_directory,
    checksums,
    keep,
    let_go,
    sha256_of,
    text_sha256,
    write_json,
)
from chmed_ner.model.original.layouts import Config, Layout
from chmed_ner.model.original.source import json_object, shard_files, tensors_in

if TYPE_CHECKING:
    from torch import Tensor

CONVERSION = 1
"""Raised when the conversion changes, so that an old copy is not taken for a new one."""
CHECKSUMS = ".sha256.json"
"""In a converted copy: the SHA-256 of its files."""
SHARD_BYTES = 1 << 30
"""The size of a shard, which is in memory while it is written."""
log = logging.getLogger(__name__)


def converted_directory(
    source: Path,
    layout: Layout,
    config: Config,
    cache: str | None = None,
    shard_bytes: int = SHARD_BYTES,
) -> Path:
    """The folder with the converted copy of `source`, made now if it is not there.

    InputError: a tensor is missing, unknown or of another shape, or the cache cannot be written.
    """
    files = shard_files(source)
    place = cache_folder(cache, "converted")
    names = (f"{file.name} {sha256_of(file)}\n" for file in (source / "config.json", *files))
    digest = text_sha256("".join(names))
    target = place / f"{layout.slug}-{digest[:16]}-v{CONVERSION}"

    def convert(folder: Path) -> None:
        from transformers import GenerationConfig

        log.info("converting %s for the first use (%d weight files)", layout.name, len(files))
        needed = sum(file.stat().st_size for file in files)
        free = shutil.disk_usage(place).free
        if free < needed:
            raise InputError(
                f"{place}: {free >> 20} MiB are free, the converted model takes {needed >> 20} "
                "MiB; make room, or point CHMED_NER_CACHE elsewhere"
            )
        try:
            adapted: Any = layout.model_config(config)
        except InputError as error:
            raise InputError(f"backbone.path={source}: {error}") from None
        adapted.architectures = [layout.model_class]
        tensors = dict(_checked(files, layout, config, _shapes(layout, adapted)))
        _write_shards(folder, tensors, shard_bytes)
        kinds = ("pad_token_id", "bos_token_id", "eos_token_id")
        ids = {kind: getattr(adapted, kind, None) for kind in kinds}
        GenerationConfig(**ids).save_pretrained(folder)  # type: ignore[no-untyped-call]
        adapted.save_pretrained(folder)

    return converted_once(target, convert, "has room for the weights once more")


def cache_folder(cache: str | None, name: str) -> Path:
    """A folder of `cache`, by default the user's cache directory."""
    return (Path(cache).expanduser() if cache else cache_directory()) / name


def converted_once(target: Path, convert: Callable[[Path], None], needs: str) -> Path:
    """`target`, a checkpoint's folder, its files as they were written; if it is not there or not
    so, `convert` fills it, under a file lock.

    InputError, with what the cache `needs`, where it cannot be written.
    """
    import filelock

    place = target.parent
    try:
        if not _is_whole(target):
            place.mkdir(parents=True, exist_ok=True)
            lock = filelock.FileLock(place / f"{target.name}.lock")
            lock.acquire()
            try:
                if not _is_whole(target):  # another process may have made it
                    _convert(target, convert)
            finally:
                let_go(lock)
                with suppress(OSError):  # empty where the first conversion failed
                    place.rmdir()
    except OSError as error:
        raise InputError(
            f"{place}: the converted model cannot be kept there ({error}); point CHMED_NER_CACHE "
            f"at a folder that can be written and {needs}"
        ) from error
    return target


def _is_whole(target: Path) -> bool:
    """Are the files those that were written? By their SHA-256: times and sizes can be as before."""
    record = json_object(target / CHECKSUMS)
    return record is not None and record == checksums(target)


def _convert(target: Path, convert: Callable[[Path], None]) -> None:
    if target.exists():
        log.warning("%s: incomplete or altered since it was converted; converting again", target)
    prefix = f".converting-{target.name}-"
    for abandoned in (target, *target.parent.glob(f"{prefix}*")):  # by a process that was killed
        shutil.rmtree(abandoned, ignore_errors=True)
    work = Path(tempfile.mkdtemp(dir=target.parent, prefix=prefix))
    try:
        convert(work)
        write_json(work / CHECKSUMS, checksums(work))
        keep(work, target)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _shapes(layout: Layout, adapted: Any) -> dict[str, tuple[int, ...]]:
    """Name and shape of every tensor that the class has."""
    import torch
    import transformers

    with torch.device("meta"):
        model = getattr(transformers, layout.model_class)(adapted)
    return {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}


def _checked(
    files: Sequence[Path], layout: Layout, config: Config, shapes: dict[str, tuple[int, ...]]
) -> "Iterator[tuple[str, Tensor]]":
    """Every converted tensor; InputError unless they are exactly those in `shapes`."""
    missing = dict(shapes)
    for file in files:
        for name, tensor in tensors_in(file):
            try:
                parts = layout.tensors(name, tensor, config)
            except KeyError:
                raise _unknown(file, name, layout) from None
            except InputError as error:
                raise InputError(f"{file}: {error}") from None
            for new_name, part in parts.items():
                if new_name not in shapes:
                    raise _unknown(file, name, layout)
                if missing.pop(new_name, None) is None:
                    raise InputError(f"{file}: {name} has been in an earlier file or place already")
                if tuple(part.shape) != shapes[new_name]:
                    raise InputError(
                        f"{file}: {name} makes {new_name} {tuple(part.shape)}; config.json asks "
                        f"for {shapes[new_name]}"
                    )
                if not part.is_floating_point():
                    raise InputError(f"{file}: {name} holds {part.dtype}, not real numbers")
                yield new_name, part
    if missing:
        raise InputError(
            f"{files[0].parent}: {len(missing)} weights are missing, such as {min(missing)}; the "
            "weights do not fit config.json, or a file is incomplete"
        )


def _unknown(file: Path, name: str, layout: Layout) -> InputError:
    return InputError(
        f"{file}: holds {name}, which {layout.name} with this config.json does not have; the "
        "checkpoint is another model's, or has something added"
    )


def _write_shards(folder: Path, tensors: "dict[str, Tensor]", most_bytes: int) -> None:
    """Write safetensors files of up to `most_bytes`, with an index if several, one at a time."""
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
