"""Loads the platform over a database of its own: a fresh SQLite file, or a test database on `DATABASE_URL`."""

import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["on_postgresql", "own_database"]

ROOT = Path(__file__).resolve().parent.parent.parent


@contextmanager
def own_database() -> Iterator[None]:
    """Enter: the platform is loaded, its tables are there and empty. They go when the block ends."""
    sys.path[:0] = [str(ROOT), str(ROOT / "platform")]
    with tempfile.TemporaryDirectory() as folder:
        os.environ.update(
            ISTHMUS_DATA_DIR=folder, ISTHMUS_LOG_LEVEL="WARNING", DJANGO_SETTINGS_MODULE="isthmus.settings"
        )
        import django

        django.setup()
        from django.test.runner import DiscoverRunner

        runner = DiscoverRunner(verbosity=0, interactive=False)
        databases = runner.setup_databases()
        try:
            yield
        finally:
            runner.teardown_databases(databases)


def on_postgresql(measure: Callable[[dict[str, object]], None]) -> None:
    """Call `measure` with the settings of a database of its own; elsewhere than on PostgreSQL say why not."""
    with own_database():
        from django.db import connection

        if connection.vendor != "postgresql":
            print("left out: the peers speak to PostgreSQL only; set DATABASE_URL.")
            return
        measure(connection.settings_dict)
