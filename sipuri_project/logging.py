"""Write structured logs to stderr: JSON lines in production, readable lines in a terminal."""

from __future__ import annotations

import logging
import logging.config
from typing import Any

import structlog

_SHARED: list[structlog.typing.Processor] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
]


def _not_a_probe(record: logging.LogRecord) -> bool:
    """A health check that says no is no error of the web role."""
    return getattr(record, "status_code", None) != 503


def configure(options: dict[str, Any]) -> None:
    """Set up structlog and the standard library's loggers alike; `options["json"]` picks the form."""
    renderer: structlog.typing.Processor
    renderer = structlog.processors.JSONRenderer() if options["json"] else structlog.dev.ConsoleRenderer(colors=False)
    structlog.configure(
        processors=[*_SHARED, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
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
            "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "structured"}},
            "root": {"handlers": ["stderr"], "level": "INFO"},
            "filters": {"no_probes": {"()": lambda: _not_a_probe}},
            # At DEBUG oauthlib writes the tokens that it issues.
            "loggers": {"oauthlib": {"level": "WARNING"}, "axes": {"level": "WARNING"}, "django.request": {"filters": ["no_probes"]}},
        }
    )
