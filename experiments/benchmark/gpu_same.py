"""In float32: the tokens of our loop and of `generate`, a training step and the plain pass."""

from typing import Any

from gpu_subject import DECODINGS, Measured, Subject

TIE = 1e-3
"""Logits nearer than this (they spread over a few units) may change places by rounding."""

OFF = {"loss": 1e-5, "gradients": 1e-3}
"""By how much, relative to their size, losses and gradients may differ."""


MARGIN = 1.2
"""Memory over that of the weights, at the least."""

BATCH = 8
"""Examples of the training step."""


def tokens(subject: Subject) -> Measured:
    """Greedy and constrained answers of our loop against `generate`, constrained by masks.

    Where two differ, every token of ours must be the likeliest but for ties, by a plain pass.
    """
    from chmed_ner.model import GreedyGenerator, LocalGenerator

    subject.needs(4 * MARGIN)
    loaded = subject.loaded("float32")
    figures: dict[str, Any] = {}
    for name in DECODINGS:
        asked = subject.requests(name, *subject.scale.compared)
        slots = max(1, len(asked) // 2)  # so that sentences wait, leave and move
        loop = LocalGenerator(loaded, batch_size=slots, stop=subject.stop)
        plain = GreedyGenerator(loaded, batch_size=len(asked), stop=subject.stop)
        if not loop.serves(asked):
            return Measured("differs", f"{name}: our loop does not compute this model's logits", {})
        pairs = zip(loop.answer(asked), plain.answer(asked), strict=True)
        apart = [at for at, (ours, theirs) in enumerate(pairs) if ours != theirs]
        writers = loop.written(asked) if apart else []
        gaps = [widest_gap(loaded.model, loop.prompt_ids(asked[n]), writers[n]) for n in apart]
        figures[name] = {"sentences": len(asked), "apart": len(apart), "gaps": gaps}
    gaps = [gap for each in figures.values() for gap in each["gaps"]]
    said = ", ".join(
        f"{name} {each['sentences'] - each['apart']} of {each['sentences']} as generate"
        for name, each in figures.items()
    )
    if gaps:
        said += f"; the others fall short of the likeliest token by up to {max(gaps):.2g}"
    return Measured("differs" if gaps and max(gaps) > TIE else "holds", said, figures)


def widest_gap(model: Any, prompt: list[int], writer: Any) -> float:
    """By how much, in logits, a token of `writer`'s answer falls short of the likeliest that was
    allowed there, its end included; by a plain pass over prompt and answer."""
    import torch

    from chmed_ner.model import GuidedWriter

    with torch.inference_mode():
        read = torch.tensor([[*prompt, *writer.tokens]], device=model.device)
        logits = model(read, use_cache=False).logits[0, len(prompt) - 1 :].float().cpu()
    guided = isinstance(writer, GuidedWriter)
    again = GuidedWriter(writer.automaton, writer.most) if guided else None
    gaps = [0.0]
    for row, token in zip(logits, writer.tokens, strict=False):
        allowed = again.allowed() if again else slice(None)
        gaps.append(float(row[allowed].max() - row[token]))
        if again:
            again.step(token)
    if writer.closed:
        allowed = again.allowed() if again else slice(None)
        ends = list(writer.automaton.end_tokens if again else writer.ends)
        gaps.append(float(logits[-1][allowed].max() - logits[-1][ends].max()))
    return max(gaps)


def step(subject: Subject) -> Measured:
    """The loss and the gradients of all adapters, of a training step and of the plain pass."""
    import torch

    from chmed_ner.model import fused_layers_in
    from chmed_ner.train import AnswerLoss, causal_lm

    subject.needs(4 * MARGIN)
    regime = subject.experiment().regime
    batch = subject.what.batches[0][:BATCH]
    model = causal_lm(regime.prepared(subject.loaded("float32"))).train()
    trained = {name: each for name, each in model.named_parameters() if each.requires_grad}
    with torch.no_grad():
        for each in trained.values():  # fresh adapters change nothing: half the gradients are 0
            each.normal_(std=0.02)
    objective = AnswerLoss(model, batch, regime)
    terms, ours, theirs = objective.terms(batch), 0.0, 0.0
    with fused_layers_in(model):
        for part in objective.parts(batch):
            loss = objective.loss(part, terms)
            loss.backward()
            ours += loss.item()
    found = {name: each.grad for name, each in trained.items()}
    model.zero_grad(set_to_none=True)
    for example in batch:
        ids = torch.tensor([[*example.prompt, *example.answer]], device=model.device)
        logits = model(input_ids=ids, use_cache=False).logits[0, len(example.prompt) - 1 : -1]
        targets = ids[0, len(example.prompt) :]
        loss = torch.nn.functional.cross_entropy(logits.float(), targets, reduction="sum") / terms
        loss.backward()
        theirs += loss.item()
    sizes = {name: float(each.grad.norm()) for name, each in trained.items()}
    floor = 0.01 * max(sizes.values())  # below it a gradient is next to nothing
    errors = {
        name: float((found[name] - each.grad).norm()) / max(sizes[name], floor)
        for name, each in trained.items()
    }
    off = {"loss": abs(ours - theirs) / theirs, "gradients": max(errors.values())}
    holds = objective.packed and all(off[name] <= OFF[name] for name in off)
    said = f"loss {ours:.4f}, off by {off['loss']:.1e}; gradients by at most {off['gradients']:.1e}"
    if not objective.packed:
        said += "; batches are not packed with this model"
    figures = {**off, "packed": objective.packed, "widest": max(errors, key=lambda n: errors[n])}
    return Measured("holds" if holds else "differs", said, figures)
