"""One wish, fact or step that breaks something is recorded and set aside; it does not end the actuator.

A journal that cannot be written is another matter: without it nothing may be done, so that error goes through.
"""

import logging
import sqlite3
from collections.abc import Callable
from typing import TypeVar

log = logging.getLogger(__name__)

T = TypeVar("T")


def fenced(work: Callable[[], T], failed: Callable[[str], T], about: str) -> T:
    """Return what `work` returns, or what `failed` makes of a sentence about its error; `about` is for the log."""
    try:
        return work()
    except sqlite3.Error:
        raise
    except Exception as error:  # whatever it is: that is what the fence is for
        log.exception("event=unexpected-error about=%s", about)
        return failed(f"unexpected {type(error).__name__}: {error}")
