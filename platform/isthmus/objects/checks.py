"""System checks."""

from collections.abc import Sequence

from django.core import checks

from isthmus.objects.capture.triggers import missing_triggers

__all__ = ["check_triggers"]


def check_triggers(*, databases: Sequence[str] | None = None, **_: object) -> list[checks.CheckMessage]:
    """Report tracked objects whose changes the database does not note (`manage.py check --database default`)."""
    missing = {using: missing_triggers(using) for using in databases or ()}
    return [
        checks.Warning(
            f"The database {using!r} does not note changes of {', '.join(names)}.",
            hint="Run `manage.py migrate`, which makes the triggers.",
            id="objects.W001",
        )
        for using, names in missing.items()
        if names
    ]
