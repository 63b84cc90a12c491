"""From what went wrong to what a person reads, and to the exit code."""

from __future__ import annotations

FAILED = 1
MISUSED = 2


class CommandError(Exception):
    """A command that did not do its work: one line for each thing that is wrong, and the exit code."""

    def __init__(self, *lines: str, code: int = FAILED) -> None:
        super().__init__("; ".join(lines))
        self.lines = lines
        self.code = code


def misused(*lines: str) -> CommandError:
    """Wrong usage, or a wrong configuration."""
    return CommandError(*lines, code=MISUSED)


def explained(error: Exception) -> CommandError | None:
    """The error as a person reads it; None for a bug, which keeps its traceback."""
    if isinstance(error, CommandError):
        return error
    usage = getattr(error, "format_message", None)
    if usage is not None:
        told = " ".join(str(usage()).replace("Value error, ", "").split()).rstrip(".") or "wrong usage"
        return misused(f"{told}{'' if told.endswith('?') else ';'} see {_command(error)} --help")
    return _of_the_runtime(error)


def _command(error: Exception) -> str:
    context = getattr(error, "ctx", None)
    return str(context.command_path) if context is not None else "crossdock"


def _of_the_runtime(error: Exception) -> CommandError | None:
    from crossdock_sdk import ConnectorError

    from crossdock.config.problems import ConfigProblems
    from crossdock.journal.base import JournalError
    from crossdock.settings import SettingsError

    if isinstance(error, ConfigProblems):
        return misused(*(str(problem) for problem in error.problems))
    if isinstance(error, SettingsError):
        return misused(str(error))
    if isinstance(error, (JournalError, ConnectorError)):
        return CommandError(" ".join(str(error).split()))
    if isinstance(error, OSError) and error.strerror:
        place = f"{error.filename}: " if error.filename else ""
        return CommandError(f"{place}{error.strerror}")
    return None
