"""Decoder layers in fewer operations, for bfloat16 on a CPU.

A decoding step over a small model is as much the starting of small operations as arithmetic. Here
queries, keys and values come from one product, heads are normed and turned together, the
activation and the gate's product are computed with the matrix products that they follow, and the
last layer computes only the states that are asked for. The layers of a few families are
written so; layers of others, and layers with adapters or quantised weights, are left as they are.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch

from chmed_ner.model.kernels.attention_over_cache import packed_attention
from chmed_ner.model.kernels.norms import Scale, scale_of
from chmed_ner.model.kernels.packing import Packing
from chmed_ner.model.kernels.replacing import Whole, forwards_replaced
from chmed_ner.model.kernels.weights import Activation, Layouts, Prepacked, prepacked

FAMILIES = {f"{name}DecoderLayer" for name in ("Gemma2", "Gemma3", "Llama", "Qwen2", "Qwen3")}
"""Layers whose forward pass is the one written here, with or without norms behind and in heads."""

ACTIVATIONS: dict[str, Activation] = {
    "GELUTanh": ("gelu", "tanh"),
    "SiLUActivation": ("swish", ""),
    "SiLU": ("swish", ""),
}
"""Activations by transformers' class, as oneDNN names them."""


@contextmanager
def merged_layers_in(model: Any, layouts: Layouts) -> Iterator[int]:
    """Within the block the layers that can be are merged; gives their number.

    `layouts` keeps their weights for the next block; these must not change for as long as it is
    used. The activation's argument is not rounded to bfloat16 as the model's own layers do:
    states differ from theirs by roundings.
    """

    def replacement(module: Any) -> MergedLayer | None:
        if type(module).__name__ not in FAMILIES:
            return None
        if module not in layouts:
            layouts[module] = merged(module)
        found = layouts[module]
        return found if isinstance(found, MergedLayer) else None

    with forwards_replaced(model, replacement) as count:
        yield count


@dataclass(frozen=True, eq=False)
class MergedLayer(Whole):
    """The forward pass of a decoder layer on packed tokens, (1, N, H).

    Norms are named after what they stand before or behind. The `last` layer returns the states that
    are asked for alone, (1, a, H).
    """

    attention: Any
    head_width: int
    query_heads: int
    key_heads: int
    last: bool
    queries_keys_values: Prepacked
    output: Prepacked
    gate: Prepacked
    up: Prepacked
    down: Prepacked
    activation: Activation
    before_attention: Scale
    in_heads: Scale | None
    behind_attention: Scale | None
    before_mlp: Scale
    behind_mlp: Scale | None

    def __call__(
        self,
        hidden_states: torch.Tensor,
        *,
        position_embeddings: tuple[torch.Tensor, torch.Tensor],
        past_key_values: Any,
        packing: Packing,
        **_: Any,
    ) -> torch.Tensor:
        """The layer's states; keys and values go to the cache `past_key_values`."""
        states = hidden_states[0]
        query, keys, values = self._projected(states, position_embeddings, past_key_values)
        if self.last and packing.early and packing.asks_for_ends:
            query, states = query[packing.ends], states[packing.ends]
            packing = packing.of_last_tokens()
        attended, _weights = packed_attention(
            self.attention,
            query.transpose(0, 1)[None],
            keys,
            values,
            None,
            packing=packing,
            scaling=self.attention.scaling,
            sliding_window=getattr(self.attention, "sliding_window", None),
        )
        attended = attended.reshape(len(states), -1)
        if self.last and len(packing.asked) < len(states):
            attended, states = attended[packing.asked], states[packing.asked]
        attended = self.output(attended)
        states = states + (self.behind_attention(attended) if self.behind_attention else attended)
        return (states + self._mlp(states))[None]

    def _projected(
        self, states: torch.Tensor, turns: tuple[torch.Tensor, torch.Tensor], cache: Any
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Queries (N, heads, D), and the cache's keys and values with those of `states`."""
        count = len(states)
        projected = self.queries_keys_values(self.before_attention(states))
        projected = projected.view(count, -1, self.head_width)
        turned = self.query_heads + self.key_heads
        heads, values = projected[:, :turned], projected[:, turned:]
        if self.in_heads:
            heads = self.in_heads(heads)
        cosine, sine = (each[0, :, None] for each in turns)
        half = self.head_width // 2
        across = torch.cat((-heads[..., half:], heads[..., :half]), -1)
        heads = heads * cosine + across * sine
        query, keys = heads[:, : self.query_heads], heads[:, self.query_heads :]
        at = self.attention.layer_idx
        return query, *cache.update(keys.transpose(0, 1)[None], values.transpose(0, 1)[None], at)

    def _mlp(self, states: torch.Tensor) -> torch.Tensor:
        states = self.before_mlp(states)
        states = self.down(self.up.times(states, self.gate(states, self.activation)))
        return self.behind_mlp(states) if self.behind_mlp else states


def merged(layer: Any) -> MergedLayer | None:
    """The merged forward pass of a layer of one of FAMILIES; None where it cannot be had."""
    attention, mlp = layer.self_attn, layer.mlp
    activation = ACTIVATIONS.get(type(mlp.act_fn).__name__)
    if activation is None or any("forward" in vars(module) for module in layer.modules()):
        return None
    queries = prepacked([attention.q_proj, attention.k_proj, attention.v_proj])
    output, gate, up, down = (
        prepacked([each]) for each in (attention.o_proj, mlp.gate_proj, mlp.up_proj, mlp.down_proj)
    )
    if not (queries and output and gate and up and down):
        return None
    before = scale_of(layer.input_layernorm)
    behind = scale_of(layer.post_attention_layernorm)
    sandwich = hasattr(layer, "pre_feedforward_layernorm")
    before_mlp = scale_of(layer.pre_feedforward_layernorm) if sandwich else behind
    behind_mlp = scale_of(layer.post_feedforward_layernorm) if sandwich else None
    config = attention.config
    counts = (config.num_attention_heads, config.num_key_value_heads)
    in_heads = _in_heads(attention, *counts)
    if not (before and behind and before_mlp) or (sandwich and not behind_mlp):
        return None
    if hasattr(attention, "q_norm") and not in_heads:
        return None
    return MergedLayer(
        attention=attention,
        head_width=attention.head_dim,
        query_heads=counts[0],
        key_heads=counts[1],
        last=attention.layer_idx == config.num_hidden_layers - 1,
        queries_keys_values=queries,
        output=output,
        gate=gate,
        up=up,
        down=down,
        activation=activation,
        before_attention=before,
        in_heads=in_heads,
        behind_attention=behind if sandwich else None,
        before_mlp=before_mlp,
        behind_mlp=behind_mlp,
    )


def _in_heads(attention: Any, query_heads: int, key_heads: int) -> Scale | None:
    """The norm of all heads that are turned, with a scale (heads, D); None where there is none."""
    norms = [scale_of(getattr(attention, name, None)) for name in ("q_norm", "k_norm")]
    query, key = norms
    if not query or not key or (query.eps, query.early) != (key.eps, key.early):
        return None
    scales = [query.scale.expand(query_heads, -1), key.scale.expand(key_heads, -1)]
    return Scale(torch.cat(scales), query.eps, query.early)
