"""How a page marks and names entities and errors."""

from collections.abc import Mapping

from chmed_ner.entities.labels import LabelScheme
from chmed_ner.report.pages.document import visible

ERROR_NAMES = {
    "boundary": "邊界",
    "type": "類別",
    "boundary_and_type": "邊界與類別",
    "missed": "漏標",
    "spurious": "多標",
}
"""What a page calls each kind of error of `chmed_ner.score.error_kinds`."""


COLOURS = 12
"""The classes `t0`, `t1` ... of page.css; types beyond the last begin again.

The type's name is always next to the colour, so no reader depends on telling hues apart.
"""


class EntityMarks:
    """How a page marks each entity type: CSS class and name, by tag, in the scheme's order.

    A type outside the scheme has the class `x` and goes by its tag.
    """

    def __init__(self, labels: LabelScheme) -> None:
        self.classes: Mapping[str, str] = {
            tag: f"t{number % COLOURS}" for number, tag in enumerate(labels.tags)
        }
        self._names = {label.tag: label.traditional for label in labels.labels}

    def mark(self, text: str, type_: str) -> str:
        """`text` marked as an entity of `type_`, as HTML."""
        name = visible(self.name(type_))
        return f'<mark class="{self.style(type_)}">{visible(text)}<small>{name}</small></mark>'

    def style(self, type_: str) -> str:
        """The CSS class of a type."""
        return self.classes.get(type_, "x")

    def name(self, type_: str) -> str:
        """The traditional name of a type, not escaped."""
        return self._names.get(type_, type_)

    def legend(self, outlined: str) -> str:
        """The types of the scheme, and what an outline means, as an HTML list."""
        entries = [f"<li>{self.mark(tag, tag)}</li>" for tag in self.classes]
        entries.append(f'<li><mark class="e">外框</mark> <small>{outlined}</small></li>')
        return f'<ul class="legend" aria-label="圖例">{"".join(entries)}</ul>\n'
