"""Write structured logs to stderr: JSON lines in production, readable lines in a terminal.

Whatever is bound to the context (`structlog.contextvars`), such as a call's id, appears in each line that is written inside it.
"""

from __future__ import annotations

import logging
import logging.config
from typing import Any

import structlog

from sipuri_project.terminal import STDERR, Terminal

_SHARED: list[structlog.typing.Processor] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
]
# At DEBUG oauthlib writes the tokens that it issues.
_NEVER_BELOW_WARNING = ("amqp", "celery", "kombu", "oauthlib")
# These log at INFO or above: their details drown ours.
_NEVER_BELOW_INFO = ("aiohttp", "asyncio", "django")


def _not_a_probe(record: logging.LogRecord) -> bool:
    """Return False for the failed health checks of the web role, which are not errors; True for any other line."""
    return getattr(record, "status_code", None) != 503


class LogHandler(logging.Handler):
    """Writes to stderr in a thread: a log that nobody reads must not stop a call."""

    def __init__(self) -> None:
        super().__init__()
        self._terminal = Terminal(STDERR)

    def emit(self, record: logging.LogRecord) -> None:
        """Queue a line."""
        try:
            self._terminal.say(self.format(record))
        except Exception:  # noqa: BLE001  # as the standard library's handlers: a line that cannot be formatted ends nothing
            self.handleError(record)

    def flush(self) -> None:
        """Wait a moment until the lines are written."""
        self._terminal.flush()


def flush() -> None:
    """Bring the log up to date, before what is written past it."""
    for handler in logging.getLogger().handlers:
        handler.flush()


def configure(options: dict[str, Any]) -> None:
    """Set up structlog and the standard library's loggers alike.

    `options["json"]` picks the form, `options["level"]` the least severe level that is written: debug, info, warning or error.
    """
    level = logging.getLevelNamesMapping()[options["level"].upper()]
    renderer: structlog.typing.Processor
    renderer = structlog.processors.JSONRenderer() if options["json"] else structlog.dev.ConsoleRenderer(colors=False)
    structlog.configure(
        processors=[*_SHARED, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        # What is below the level costs a call of an empty function.
        wrapper_class=structlog.make_filtering_bound_logger(level),
        cache_logger_on_first_use=True,
    )
    formatter = {
        "()": structlog.stdlib.ProcessorFormatter,
        "foreign_pre_chain": _SHARED,
        "processors": [structlog.stdlib.ProcessorFormatter.remove_processors_meta, structlog.processors.format_exc_info, renderer],
    }
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "formatters": {"structured": formatter},
            "handlers": {"stderr": {"class": "sipuri_project.logging.LogHandler", "formatter": "structured"}},
            "root": {"handlers": ["stderr"], "level": level},
            "filters": {"no_probes": {"()": lambda: _not_a_probe}},
            "loggers": {
                **{name: {"level": max(level, logging.WARNING)} for name in _NEVER_BELOW_WARNING},
                **{name: {"level": max(level, logging.INFO)} for name in _NEVER_BELOW_INFO},
                "django.request": {"filters": ["no_probes"]},
            },
        }
    )
