"""The errors we raise on purpose: each names the file, line or key, the value, and the cure."""


class ChmedError(Exception):
    """Base of every error that is reported as one message, without a traceback."""

    exit_code = 1


class InputError(ChmedError):
    """The configuration or an input file is wrong; nothing was computed from it."""

    exit_code = 2


class RunError(ChmedError):
    """A run failed for a reason that is not the user's input (a full disk, a lost server ...)."""


class Stopped(ChmedError):
    """A run was stopped on purpose; what is finished is kept and the run can be resumed."""


class BudgetError(Stopped):
    """The next step does not fit into the budget."""

    exit_code = 3


class EstimateOnly(Stopped):
    """Only what a run would cost was asked for."""

    exit_code = 0


def first_line(error: BaseException) -> str:
    """The first line of an error's message, or the name of its kind where it has no message."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
