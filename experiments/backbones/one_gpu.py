"""What tuning a backbone takes of one GPU, computed: `python -m experiments.backbones.one_gpu`.

It prints the table of conf/backbone/README.md, "One GPU". What a training step keeps for its
backward pass is counted on torch's meta device, in models of these shapes without weights; the
rest is arithmetic. Nothing is measured on a GPU.
"""

import random
from typing import Any

from chmed_ner.files import config_directory, markdown_table
from experiments.backbones.facts import read_facts
from experiments.benchmark.gpu_shapes import FULL, Shape

SHAPES = {
    "qwen3_0_6b": FULL["qwen3_0_6b"],
    "qwen3_1_7b": Shape("Qwen3", 151_936, 2048, 6144, 28, (16, 8), 128, True, {}),
    "qwen3_4b": Shape("Qwen3", 151_936, 2560, 9728, 36, (32, 8), 128, True, {}),
    "qwen3_8b": FULL["qwen3_8b"],
}
RANK = 16
PROMPT, ANSWER = 82, 36
"""Tokens of `prompt=inline` on ROCLING-2022, as recorded in experiments/README.md."""
EXAMPLES = 13
"""As many as fit into `regime.tokens_at_once`, 1,536."""
TOKENS = 3 * (2_531 - 127) * (PROMPT + ANSWER)
"""Of `preset=inline_lora` on HealthNER's smaller part without validation: three epochs."""
ADAPTER_BYTES = 20
"""A parameter: chmed_ner/train/README.md."""
OPERATIONS = 4
"""A token and weight: two forward, two backward; a frozen weight has no gradient."""
SPEED = 30e12
"""Operations a second, about a third of what makers name for cards of this kind in bfloat16."""
HEADER = (
    "option", "weights", "in 4 bits", "`regime=lora`", "`regime=qlora`", "training, minutes",
)  # fmt: skip


def kept_bytes(model: Any) -> int:
    """What a part of `EXAMPLES` keeps for its backward pass, without the fused LoRA layers and
    norms of our training, which keep less."""
    import torch

    from chmed_ner.train.recipe import Example, shared_prefix
    from chmed_ner.train.states import packed_states

    chance = random.Random(13)
    texts = [[chance.randrange(9, 500) for _ in range(PROMPT + ANSWER)] for _ in range(EXAMPLES)]
    batch = [Example(tuple(each[:PROMPT]), tuple(each[PROMPT:])) for each in texts]
    own = {each.untyped_storage()._cdata for each in model.parameters()}
    kept: dict[int, Any] = {}  # by storage, which is held so that its number stays its own

    def note(tensor: Any) -> Any:
        storage = tensor.untyped_storage()
        if storage._cdata not in own:
            kept[storage._cdata] = storage
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        packed_states(model, batch, len(shared_prefix(batch)))
    return sum(each.nbytes() for each in kept.values())


def row(option: str, shape: Shape) -> tuple[str, ...]:
    """The option's row: GiB of weights and of tuning, in 16 and 4 bits; minutes of training."""
    import torch
    import transformers

    from chmed_ner.train.learning_regimes import with_adapter

    facts = read_facts(config_directory() / "backbone" / f"{option}.yaml")
    assert facts
    assert facts.in_linear_layers
    with torch.device("meta"):
        plain = transformers.AutoModelForCausalLM.from_config(shape.config()).to(torch.bfloat16)
        tuned = with_adapter(plain, rank=RANK, alpha=32.0, dropout=0.0, targets="all-linear")
    model: Any = tuned.get_base_model()
    adapter = ADAPTER_BYTES * sum(p.numel() for p in model.parameters() if p.requires_grad)
    weights = [facts.bfloat16_bytes() or 0.0, facts.nf4_bytes() or 0.0]
    more = adapter + kept_bytes(model)
    tuning = [each + more for each in weights]
    minutes = OPERATIONS * facts.in_linear_layers * TOKENS / SPEED / 60
    return (
        f"`{option}`",
        *(f"{each / 2**30:.1f}" for each in (*weights, *tuning)),
        f"{minutes:.0f}",
    )


if __name__ == "__main__":
    print(markdown_table(HEADER, [row(*each) for each in SHAPES.items()], "lrrrrr"), end="")
