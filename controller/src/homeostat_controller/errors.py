"""The controller's expected failures, one root, each subclass there because a caller branches on it.

The message is a sentence for the person who asked; it never holds a secret.
"""


class ControllerError(Exception):
    """Something the controller will not or cannot do; the message says what and why."""


class NotFound(ControllerError):  # noqa: N818  # it is an answer, not a fault
    """The thing named does not exist, or not for this asker."""


class Conflict(ControllerError):  # noqa: N818  # it says what happened, as the sentence does
    """The thing exists, but its present state does not allow what was asked."""


class Invalid(ControllerError):  # noqa: N818  # it says what happened, as the sentence does
    """What was given cannot be used."""


class Busy(ControllerError):  # noqa: N818  # it says what happened, as the sentence does
    """A bound is reached; try again after `retry_after_s` seconds."""

    def __init__(self, message: str, retry_after_s: float) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s
