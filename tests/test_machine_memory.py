"""How a process takes memory."""

import gc
import weakref

from chmed_ner.machine import collection_paused


class Cycle:
    """An object that only Python's collector can free."""

    def __init__(self) -> None:
        self.itself = self


def test_cycles_made_while_collection_is_paused_are_freed_at_the_end() -> None:
    with collection_paused():
        assert not gc.isenabled()
        made = weakref.ref(Cycle())
        for _ in range(2000):
            Cycle()
        assert made() is not None
    assert gc.isenabled()
    assert made() is None


def test_collection_that_was_off_stays_off() -> None:
    gc.disable()
    try:
        with collection_paused():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()
