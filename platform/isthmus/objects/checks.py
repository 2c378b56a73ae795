"""System checks."""

from collections.abc import Sequence

from django.core import checks

from isthmus.objects import organization
from isthmus.objects.capture.triggers import missing_triggers

__all__ = ["check_organization", "check_triggers"]


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


def check_organization(*, databases: Sequence[str] | None = None, **_: object) -> list[checks.CheckMessage]:
    """Report a row of the organisation that does not say what the settings say."""
    if organization.DATABASE not in (databases or ()) or organization.is_in_step():
        return []
    return [
        checks.Warning(
            "The organisation that clients read is not as the settings have it.",
            hint="Run `manage.py migrate`, which brings it into step.",
            id="objects.W002",
        )
    ]
