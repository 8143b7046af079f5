"""doccano's exports: spans under `entities`, `label`, `labels` or `annotations`, without mentions.

doccano counts UTF-16 units unless its project counts grapheme clusters: `units` says which, where
a text has characters beyond U+FFFF.
"""

from pathlib import Path

from chmed_ner.data.formats.annotations import Annotations, Format, Options
from chmed_ner.data.formats.span_json import read_spans


def _read(path: Path, options: Options) -> Annotations:
    return read_spans(path, options, ["exclusive"], ["utf16", "characters"])


FORMAT = Format(_read, ("text_key", "entities_key", "units"))
