"""Exit codes that scripts can rely on, and the one error that every command ends with."""

from enum import IntEnum


class Exit(IntEnum):
    """What a command's exit code says."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    WAITS_FOR_APPROVAL = 3
    REFUSED_BY_POLICY = 4
    NOT_REACHABLE = 5


class CommandError(Exception):
    """A command that did not do what was asked: what, why, and the command that helps."""

    def __init__(self, what: str, why: str = "", then: str = "", code: Exit = Exit.FAILED) -> None:
        super().__init__(what)
        self.what = what
        self.why = why
        self.then = then
        self.code = code
