"""An eye on the first answers: a run whose answers cannot be read says so while it goes on."""

import logging
import time
from collections.abc import Sequence

from chmed_ner.machine import duration
from chmed_ner.model import Answered

SHARE = 0.1
"""Of the answers, after which the time that all take is estimated."""
SOON = 10.0
"""Seconds for which no estimate is worth a line."""
FIRST = 100
"""Answers that are looked at."""
MANY = FIRST // 10

log = logging.getLogger(__name__)


class Pace:
    """Says how long `count` answers take, by the first of them, beside the bound of `most`
    seconds that was measured before."""

    def __init__(self, count: int, most: float) -> None:
        self.left, self.count, self.most = count, count, most
        self.began = time.perf_counter()
        self.said = False

    def look_at(self, some: int) -> None:
        """Take note of `some` more answers; say the estimate once, if it is worth a line."""
        self.left -= some
        done, took = self.count - self.left, time.perf_counter() - self.began
        about = took / done * self.count
        if not self.said and done >= SHARE * self.count and about - took > SOON:
            self.said = True
            most = f", at most {duration(self.most)}" if self.most > about else ""
            log.info("%d of %d answers: about %s in all%s", done, self.count, duration(about), most)


class Watch:
    """Counts the answers that are refused or cannot be read, and warns once when they are many."""

    def __init__(self) -> None:
        self._seen = 0
        self._unread: list[str] = []
        self._told = False

    def look_at(self, some: Sequence[Answered]) -> None:
        """Look at the first answers; warn when a tenth of a hundred are unusable."""
        for each in some[: FIRST - self._seen]:
            self._seen += 1
            if each.reply.stop == "refused" or not each.request.usable(each.reply):
                self._unread.append(each.reply.text)
            if len(self._unread) >= MANY:
                self._tell()

    def finish(self) -> None:
        """There are no further answers: say if any of the first was unusable."""
        if self._unread:
            self._tell()

    def _tell(self) -> None:
        if not self._told:
            log.warning(
                "%d of the first %d answers are empty, refused or cannot be read, such as %r: does "
                "this backbone suit this prompt?",
                len(self._unread),
                self._seen,
                _shown(self._unread),
            )
        self._told = True


def _shown(texts: Sequence[str]) -> str:
    """The first text that says anything, cut to a line."""
    text = next((text for text in texts if text.strip()), "")
    return text if len(text) <= 80 else f"{text[:80]}..."
