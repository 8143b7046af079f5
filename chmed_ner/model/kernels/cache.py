"""The key/value cache of the decoding loop: one slot a sentence, allocated once.

A slot holds its sentence's keys and values, the state of position p in column p. Columns beyond a
sentence's length hold zeros or what an earlier sentence left there; attention masks them.

1. `ensure` makes room for the columns of the next pass.
2. `place` says where the states of the next N tokens go.
3. Each layer's `update` writes its keys and values there.
4. `share` copies the prefix of all prompts, read into slot 0, to all slots.
5. `move` copies a sentence to a slot that has become free.
"""

from typing import Any

import torch
from transformers.cache_utils import Cache, CacheLayerMixin

GROWTH = 1.5
"""A cache that turns out too short grows by this factor, so that copying stays rare."""


class SlotLayer(CacheLayerMixin):  # type: ignore[no-untyped-call]
    """One layer's keys and values, each (slots, columns, heads, width)."""

    is_sliding = False

    def __init__(self, slots: int, columns: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.slots = slots
        self.columns = columns
        self.keys: torch.Tensor | None = None
        self.values: torch.Tensor | None = None
        self.places: torch.Tensor = torch.empty(0, dtype=torch.long)

    def lazy_initialization(self, key_states: torch.Tensor, value_states: torch.Tensor) -> None:
        """Allocate. Zeros, not empty memory: a masked NaN would still spoil its row's attention."""
        self.keys, self.values = (
            states.new_zeros(self.slots, self.columns, states.shape[1], states.shape[3])
            for states in (key_states, value_states)
        )
        self.is_initialized = True

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *_: Any, **__: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """3. Write the N tokens' states, (1, heads, N, width), to their places; the buffers."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        assert self.keys is not None
        assert self.values is not None
        for buffer, states in ((self.keys, key_states), (self.values, value_states)):
            rows = buffer.view(self.slots * self.columns, *buffer.shape[2:])
            rows.index_copy_(0, self.places, states[0].transpose(0, 1))  # (N, heads, width)
        return self.keys, self.values

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        """Never asked: the loop has its own masks."""
        return query_length, 0

    def get_seq_length(self) -> int:
        """Never asked: the loop has its own positions."""
        return 0

    def get_max_length(self) -> int:
        """The columns of a slot."""
        return self.columns


class SlotCache(Cache):
    """`slots` x `columns`, up to `longest`; growing, it drops all but the `needed` first slots."""

    def __init__(self, layers: int, slots: int, columns: int, longest: int) -> None:
        self._slot_layers = [SlotLayer(slots, columns) for _ in range(layers)]
        super().__init__(layers=list(self._slot_layers))
        self.needed = slots
        self.columns = columns
        self.longest = longest

    def place(self, places: torch.Tensor) -> None:
        """2. Where the next tokens go: `slot * columns + column` for each, (N,)."""
        for layer in self._slot_layers:
            layer.places = places

    def ensure(self, columns: int) -> None:
        """1. Make room for at least `columns` columns a slot."""
        if columns <= self.columns:
            return
        wanted = max(columns, min(self.longest, int(self.columns * GROWTH)))
        for layer in self._slot_layers:
            layer.slots, layer.columns = self.needed, wanted
            if layer.keys is not None and layer.values is not None:
                layer.keys = _widened(layer.keys[: self.needed], wanted)
                layer.values = _widened(layer.values[: self.needed], wanted)
        self.columns = wanted

    def share(self, length: int) -> None:
        """4. Copy the first `length` columns of slot 0 to all slots."""
        for buffer in self._buffers():
            buffer[1:, :length] = buffer[:1, :length]

    def move(self, source: int, target: int, begin: int, end: int) -> None:
        """5. Copy the columns [begin, end) of one slot to another."""
        for buffer in self._buffers():
            buffer[target, begin:end] = buffer[source, begin:end]

    def _buffers(self) -> list[torch.Tensor]:
        pairs = [(layer.keys, layer.values) for layer in self._slot_layers]
        return [buffer for pair in pairs for buffer in pair if buffer is not None]


def _widened(buffer: torch.Tensor, columns: int) -> torch.Tensor:
    wider = buffer.new_zeros(buffer.shape[0], columns, *buffer.shape[2:])
    wider[:, : buffer.shape[1]] = buffer
    return wider
