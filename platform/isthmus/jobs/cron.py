"""Cron expressions of five fields, in UTC."""

from datetime import datetime

from croniter import croniter

__all__ = ["is_cron", "next_after"]

_FIELDS = 5


def is_cron(expression: str) -> bool:
    """Return whether `expression` can be scheduled."""
    valid: bool = croniter.is_valid(expression)  # type: ignore[no-untyped-call]  # croniter has no types
    return valid and len(expression.split()) == _FIELDS


def next_after(expression: str, moment: datetime) -> datetime:
    """Return the first time after `moment` that the expression names. Raises `ValueError` for a bad expression."""
    found: datetime = croniter(expression, moment).get_next(datetime)  # type: ignore[no-untyped-call]  # no types
    return found
