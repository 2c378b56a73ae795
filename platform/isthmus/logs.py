"""Structured logs: an event name and fields, the correlation id on every line; JSON in production, text for people."""

from collections.abc import MutableMapping
from typing import Any

import structlog

from isthmus import correlation

__all__ = ["configuration", "get_logger"]


def get_logger(name: str) -> structlog.stdlib.BoundLogger:
    """Return a logger: `log.info("callout.sent", status=201)`. Fields never hold secrets or whole bodies."""
    logger: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(name)
    return logger


def _add_correlation_id(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    event["correlation_id"] = correlation.current() or "-"
    return event


def configuration(*, as_json: bool, level: str) -> dict[str, Any]:
    """Return the value of Django's `LOGGING`, and set structlog up to write through it."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _add_correlation_id,
    ]
    # Tracebacks without local variables: those are where secrets would leak.
    last: list[structlog.typing.Processor] = (
        [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
        if as_json
        else [structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback)]
    )
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.PositionalArgumentsFormatter(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "structured": {
                "()": structlog.stdlib.ProcessorFormatter,
                "foreign_pre_chain": shared,
                "processors": [structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
            }
        },
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "structured"}},
        "root": {"handlers": ["stderr"], "level": level},
        "loggers": {
            "django": {"level": level, "propagate": True, "handlers": []},
            "django.server": {"level": level, "propagate": True, "handlers": []},
            "django-q": {"level": "WARNING", "propagate": True, "handlers": []},
            "urllib3": {"level": "WARNING"},
            # At DEBUG these write tokens and secrets.
            "oauth2_provider": {"level": "INFO"},
            "oauthlib": {"level": "INFO"},
        },
    }
