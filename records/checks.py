"""System checks."""

from collections.abc import Sequence

from django.core import checks

from records.search_index import missing_indexes

__all__ = ["check_search_indexes"]


def check_search_indexes(*, databases: Sequence[str] | None = None, **_: object) -> list[checks.CheckMessage]:
    """Report objects whose search index is not as it should be (`manage.py check --database default`)."""
    missing = {using: missing_indexes(using) for using in databases or ()}
    return [
        checks.Warning(
            f"The database {using!r} has no index, or an old one, to search {', '.join(names)}.",
            hint="Run `manage.py migrate`, which makes the indexes.",
            id="records.W001",
        )
        for using, names in missing.items()
        if names
    ]
