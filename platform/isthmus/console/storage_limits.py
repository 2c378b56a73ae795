"""How large the database is, and how much more its disk holds where that is known."""

import shutil
from collections.abc import Iterator
from pathlib import Path

from django.db import connection

from isthmus.access.limits import Limit

__all__ = ["storage_limits"]


def storage_limits() -> Iterator[Limit]:
    """Yield the size of the database; two queries at most."""
    used, free = _postgresql() if connection.vendor == "postgresql" else _sqlite()
    yield Limit(
        group="Storage",
        label="Database",
        maximum=None if free is None else used + free,
        used=used,
        per="all tables and indexes",
        unit="bytes",
        setting="the disk that holds it",
        when_reached="Nothing can be written any more: requests, operations and events fail until there is room.",
    )


def _postgresql() -> tuple[int, int | None]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_database_size(current_database())")
        return int(cursor.fetchone()[0]), None


def _sqlite() -> tuple[int, int | None]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT page_count * page_size FROM pragma_page_count, pragma_page_size")
        used = int(cursor.fetchone()[0])
    folder = Path(str(connection.settings_dict["NAME"])).parent
    return used, shutil.disk_usage(folder).free if folder.is_dir() else None
