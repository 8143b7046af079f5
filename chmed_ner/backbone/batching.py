"""The plan of a generation: which requests are asked together, settled before the first one."""

from collections.abc import Callable, Sequence

from chmed_ner.model.asking import Request


def plan_batches(
    requests: Sequence[Request], length: Callable[[Request], int], batch_size: int
) -> list[tuple[Request, ...]]:
    """All requests in batches of like length, longest first.

    The plan depends on the requests' prompts only, not on their order, so that the same sentences
    are batched alike in a run, after a resume and in `predict`. Longest first shows at once whether
    the memory suffices.
    """
    ordered = sorted(requests, key=lambda request: (-length(request), request.prompt, request.id))
    return [
        tuple(ordered[start : start + batch_size]) for start in range(0, len(ordered), batch_size)
    ]
