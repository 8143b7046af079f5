"""doccano's exports: spans under `entities`, `label`, `labels` or `annotations`, without mentions.

doccano counts UTF-16 units unless its project counts grapheme clusters: `units` says which, where
a text has characters beyond U+FFFF.
"""

from functools import partial

from chmed_ner.data.formats.annotations import Format
from chmed_ner.data.formats.span_json import read_spans

FORMAT = Format(partial(read_spans, ends=["exclusive"]), ("text_key", "entities_key", "units"))
