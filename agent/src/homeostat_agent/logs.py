"""Log lines of key=value words on stderr, for the journal or a file. No line holds a secret, and none is torn."""

import logging
import sys
import time

LEVELS = ("debug", "info", "warning", "error")


def set_up(level: str) -> None:
    """Send everything from `level` up to stderr, once."""
    lines = logging.StreamHandler(sys.stderr)
    lines.setFormatter(_Words())
    logging.basicConfig(level=level.upper() if level in LEVELS else logging.INFO, handlers=[lines], force=True)


class _Words(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        at = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        message = record.getMessage()
        if record.exc_info:
            message += f" error={self.formatException(record.exc_info)!r}"
        # A line break in what an endpoint supplies must not look like a line of ours.
        message = "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in message)
        return f"{at}.{int(record.msecs):03}Z level={record.levelname.lower()} from={record.name} {message}"
