"""Decoder layers in fewer operations, for bfloat16 on a CPU.

A decoding step over a small model is as much the starting of small operations as arithmetic. For
the states of N tokens, (N, width), a merged layer:

1. norms them, and has queries, keys and values from one product, (N, (H + 2 h) * D);
2. norms and rotates the query and key heads together, and writes keys and values to the cache;
3. attends; the last layer goes on with the states that are asked for only, (a, width);
4. adds the output product to the states;
5. computes the activation and the gate's product within the matrix products that they follow, and
   adds the result.

Layers of other families, and layers with adapters or quantised weights, are left as they are.
"""

from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import torch

from chmed_ner.model.kernels.attention import Scoring, attend_to_cache
from chmed_ner.model.kernels.packing import Packing
from chmed_ner.model.kernels.replacing import (
    Activation,
    FastProduct,
    Layouts,
    Scale,
    Whole,
    fast_product,
    forwards_replaced,
    scale_of,
)

FAMILIES = {f"{name}DecoderLayer" for name in ("Gemma2", "Gemma3", "Llama", "Qwen2", "Qwen3")}
"""Layers whose forward pass is the one written here, with or without some of the norms."""

ACTIVATIONS: dict[str, Activation] = {
    "GELUTanh": ("gelu", "tanh"),
    "SiLUActivation": ("swish", ""),
    "SiLU": ("swish", ""),
}
"""Activations by transformers' class, as oneDNN names them."""


def merged_layers_in(model: Any, layouts: Layouts) -> AbstractContextManager[int]:
    """Within the block the layers that can be are merged; gives their number.

    `layouts` keeps their weights, which must not change, for the next block. States differ from the
    model's own by roundings: the activation's argument is not rounded to bfloat16.
    """

    def replacement(module: Any) -> MergedLayer | None:
        if type(module).__name__ not in FAMILIES:
            return None
        if module not in layouts:
            layouts[module] = merged(module)
        found = layouts[module]
        return found if isinstance(found, MergedLayer) else None

    return forwards_replaced(model, replacement)


@dataclass(frozen=True, eq=False)
class MergedLayer(Whole):
    """A decoder layer on tokens laid end to end, (1, N, width); of the `last`, (1, a, width)."""

    attention: Any
    head_width: int
    query_heads: int
    key_heads: int
    last: bool
    queries_keys_values: FastProduct
    output: FastProduct
    gate: FastProduct
    up: FastProduct
    down: FastProduct
    activation: Activation
    scoring: Scoring
    before_attention: Scale
    in_heads: Scale | None
    after_attention: Scale | None
    before_mlp: Scale
    after_mlp: Scale | None

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
        states = hidden_states[0]  # (N, width)
        query, keys, values = self._projected(states, position_embeddings, past_key_values)
        if self.last and packing.others and packing.asks_for_ends:  # 3.
            query, states = query[packing.ends], states[packing.ends]  # (n, ...)
            packing = packing.of_last_tokens()
        attended = attend_to_cache(query, keys, values, packing, self.scoring)  # (N, H, D)
        attended = attended.reshape(len(states), -1)
        if self.last and len(packing.asked) < len(states):
            attended, states = attended[packing.asked], states[packing.asked]  # (a, ...)
        attended = self.output(attended)  # 4. (N, width)
        states = states + (self.after_attention(attended) if self.after_attention else attended)
        return (states + self._mlp(states))[None]

    def _projected(
        self, states: torch.Tensor, turns: tuple[torch.Tensor, torch.Tensor], cache: Any
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Queries (N, H, D), and the cache's keys and values with those of `states`."""
        count = len(states)
        projected = self.queries_keys_values(self.before_attention(states))  # 1.
        projected = projected.view(count, -1, self.head_width)  # (N, H + 2 h, D)
        turned = self.query_heads + self.key_heads
        heads, values = projected[:, :turned], projected[:, turned:]
        if self.in_heads:  # 2.
            heads = self.in_heads(heads)
        cosine, sine = (each[0, :, None] for each in turns)
        half = self.head_width // 2
        across = torch.cat((-heads[..., half:], heads[..., :half]), -1)
        heads = heads * cosine + across * sine
        query, keys = heads[:, : self.query_heads], heads[:, self.query_heads :]
        at = self.attention.layer_idx
        return query, *cache.update(keys.transpose(0, 1)[None], values.transpose(0, 1)[None], at)

    def _mlp(self, states: torch.Tensor) -> torch.Tensor:
        states = self.before_mlp(states)  # 5.
        states = self.down(self.up.times(states, self.gate(states, self.activation)))
        return self.after_mlp(states) if self.after_mlp else states


def merged(layer: Any) -> MergedLayer | None:
    """The merged forward pass of a layer of one of FAMILIES; None where there is none."""
    attention, mlp = layer.self_attn, layer.mlp
    activation = ACTIVATIONS.get(type(mlp.act_fn).__name__)
    if activation is None or any("forward" in vars(module) for module in layer.modules()):
        return None
    queries = fast_product([attention.q_proj, attention.k_proj, attention.v_proj])
    output, gate, up, down = (
        fast_product([each])
        for each in (attention.o_proj, mlp.gate_proj, mlp.up_proj, mlp.down_proj)
    )
    if not (queries and output and gate and up and down):
        return None
    before = scale_of(layer.input_layernorm)
    after = scale_of(layer.post_attention_layernorm)
    sandwich = hasattr(layer, "pre_feedforward_layernorm")  # norms before and after each part
    before_mlp = scale_of(layer.pre_feedforward_layernorm) if sandwich else after
    after_mlp = scale_of(layer.post_feedforward_layernorm) if sandwich else None
    config = attention.config
    in_heads = _in_heads(attention)
    if not (before and after and before_mlp) or (sandwich and not after_mlp):
        return None
    if hasattr(attention, "q_norm") and not in_heads:
        return None
    return MergedLayer(
        attention=attention,
        head_width=attention.head_dim,
        query_heads=config.num_attention_heads,
        key_heads=config.num_key_value_heads,
        last=attention.layer_idx == config.num_hidden_layers - 1,
        queries_keys_values=queries,
        output=output,
        gate=gate,
        up=up,
        down=down,
        activation=activation,
        scoring=Scoring(
            attention.scaling,
            getattr(attention, "sliding_window", None),
            getattr(attention, "attn_logit_softcapping", None),
        ),
        before_attention=before,
        in_heads=in_heads,
        after_attention=after if sandwich else None,
        before_mlp=before_mlp,
        after_mlp=after_mlp,
    )


def _in_heads(attention: Any) -> Scale | None:
    """The norm of all heads that are turned, with a scale (heads, D); None where there is none."""
    query, key = (scale_of(getattr(attention, name, None)) for name in ("q_norm", "k_norm"))
    if not query or not key or (query.eps, query.early) != (key.eps, key.early):
        return None
    queries = query.scale.expand(attention.config.num_attention_heads, -1)
    keys = key.scale.expand(attention.config.num_key_value_heads, -1)
    return Scale(torch.cat([queries, keys]), query.eps, query.early)
