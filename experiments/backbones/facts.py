"""What is known of a backbone's model, from the comments at the head of its YAML file.

They are comments, not settings: no constructor takes them and no run's identity depends on them.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chmed_ner.errors import InputError

UNKNOWN = "unknown"
PRECISIONS = ("bfloat16", "float16", "float32", UNKNOWN)
CHINESE = ("yes", "some", "not named", UNKNOWN)
"""Yes: one of the main languages; some: one of very many; not named: not one that the model is
said to know."""

NF4_BYTES = 1 / 2 + 1 / 64 + 4 / (64 * 256)
"""A weight in NF4: 4 bits, an 8-bit scale for 64 of them, a float32 for 256 scales (QLoRA's double
quantisation, Dettmers et al. 2023)."""


@dataclass(frozen=True)
class Facts:
    """A model as its makers describe it; None where they do not say.

    `parameters` and, of these, those `in_linear_layers` of the decoder, which are the ones that
    are quantised; `context` in tokens; `precision` is the recommended `backbone.dtype`.
    """

    option: str
    model: str
    kind: str
    licence: str
    parameters: int | None
    in_linear_layers: int | None
    chinese: str
    context: int | None
    precision: str

    def bfloat16_bytes(self) -> float | None:
        """The memory of the weights in bytes: two a parameter."""
        return None if self.parameters is None else 2.0 * self.parameters

    def nf4_bytes(self) -> float | None:
        """The same with linear layers in NF4; embeddings, output head and norms keep two bytes.

        bitsandbytes's tables, about 1 KiB a layer, are left out.
        """
        if self.parameters is None or self.in_linear_layers is None:
            return None
        kept = self.parameters - self.in_linear_layers
        return 2.0 * kept + NF4_BYTES * self.in_linear_layers


def read_facts(file: Path) -> Facts | None:
    """The facts in an option's YAML file; None where the option leaves the model to the user.

    InputError, naming file and line, for a fact that is missing, given twice or of another form.
    """
    model = _model(file)
    if model is None:
        return None
    found = _Comments(file)
    facts = Facts(
        option=file.stem,
        model=model,
        kind=found.one_of("Kind", ("base", "chat")),
        licence=found.text("Licence"),
        parameters=found.number("Parameters"),
        in_linear_layers=found.number("In linear layers"),
        chinese=found.one_of("Chinese in pre-training", CHINESE),
        context=found.number("Context"),
        precision=found.one_of("Precision", PRECISIONS),
    )
    if (facts.in_linear_layers or 0) > (facts.parameters or 0):
        raise InputError(f"{file}: more parameters in linear layers than in all")
    return facts


def _model(file: Path) -> str | None:
    """The hub id or name of the option's model, `packaged` where a package carries it."""
    from omegaconf import OmegaConf

    content: Any = OmegaConf.to_container(OmegaConf.load(file), resolve=False)
    for key in ("path", "model"):
        if key in content:
            value = content[key]
            return None if value == "???" else str(value or "packaged")
    return None


class _Comments:
    """The `# Key: value` lines above a YAML file's first setting."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self._found: dict[str, tuple[int, str]] = {}
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
            if not line.startswith("#"):
                return
            match = re.fullmatch(r"# ([A-Z][^:]*): (.+)", line)
            if match and match[1] in self._found:
                raise InputError(f"{file}, line {number}: {match[1]} is given twice")
            if match:
                self._found[match[1]] = (number, match[2].strip())

    def text(self, key: str) -> str:
        """A fact's text."""
        if key not in self._found:
            raise InputError(
                f"{self.file}: no line '# {key}: ...' above the first setting; say it, or "
                f"'# {key}: {UNKNOWN}' where it takes that"
            )
        return self._found[key][1]

    def one_of(self, key: str, allowed: tuple[str, ...]) -> str:
        """A fact that takes only `allowed` values."""
        text = self.text(key)
        if text not in allowed:
            raise self._bad(key, f"give one of {', '.join(allowed)}")
        return text

    def number(self, key: str) -> int | None:
        """A whole number, with or without commas; None for `unknown`."""
        text = self.text(key)
        if text == UNKNOWN:
            return None
        if not re.fullmatch(r"[1-9]\d*|[1-9]\d{0,2}(,\d{3})+", text):
            raise self._bad(key, f"give a whole number, or {UNKNOWN}")
        return int(text.replace(",", ""))

    def _bad(self, key: str, cure: str) -> InputError:
        number, text = self._found[key]
        return InputError(f"{self.file}, line {number}: {key}: {text}: {cure}")
