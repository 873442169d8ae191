"""One line per event, as fields: JSON for machines, coloured text for a terminal; libraries' lines in the same form."""

import logging
import sys

import structlog
from structlog.typing import Processor

from homeostat_controller.config import Settings

# Libraries whose own lines say nothing that ours do not.
_QUIET = ("alembic", "uvicorn.access", "httpx", "asyncio")


def configure(settings: Settings) -> None:
    """Send all logging to standard error, as the settings want it."""
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(_level(settings)),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )
    to_stderr = logging.StreamHandler(sys.stderr)
    to_stderr.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, _renderer(settings)],
        )
    )
    root = logging.getLogger()
    root.handlers = [to_stderr]
    root.setLevel(_level(settings))
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)


def _level(settings: Settings) -> int:
    return int(logging.getLevelNamesMapping()[settings.log_level.upper()])


def _renderer(settings: Settings) -> Processor:
    wanted = settings.log_format
    if wanted == "json" or (wanted == "auto" and not sys.stderr.isatty()):
        return structlog.processors.JSONRenderer()
    return structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
