"""What every test may use."""

import os
import secrets
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import hypothesis
import pytest

# An environment of their own: tests never read or write the developer's data directory or keys.
if not os.environ.get("DATABASE_URL"):
    os.environ.pop("DATABASE_URL", None)
os.environ.setdefault("ISTHMUS_LOG_LEVEL", "WARNING")
# Tests change rows behind the platform's back and look at once; what remembering does has tests of its own.
os.environ.setdefault("ISTHMUS_CREDENTIALS_RESOLUTION_SECONDS", "0")
os.environ.setdefault("ISTHMUS_CALLOUTS_DESTINATION_SECONDS", "0")
os.environ.setdefault("ISTHMUS_ACCESS_REMEMBERED_SECONDS", "0")
os.environ.setdefault("ISTHMUS_ACCESS_USE_FLUSH_SECONDS", "0")
os.environ.setdefault("ISTHMUS_APEXREST_LIMITS_SECONDS", "0")
os.environ.setdefault("ISTHMUS_OBJECTS_SHARING_SECONDS", "0")
os.environ.setdefault("ISTHMUS_CONSOLE_CHART_SECONDS", "0")

from django.conf import settings
from django.db import connection

from apexrest.testing import rest_context as rest_context
from callouts.queue.testing import callout_queue as callout_queue
from callouts.testing import callout_mock as callout_mock
from events.testing import event_bus as event_bus
from isthmus import clock, correlation, ids
from isthmus.jobs.testing import jobs as jobs
from tests.engines import chromium_path, postgres_url

# Examples have no time limit of their own: the first one of many waits for a parser to be made, or for a busy machine.
hypothesis.settings.register_profile("isthmus", deadline=None)
hypothesis.settings.load_profile("isthmus")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--database-tests-only", action="store_true", help="Leave out tests that do not touch the database."
    )


def pytest_configure() -> None:
    # Demo and test users have known passwords; hashing them slowly would only cost time.
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher", *settings.PASSWORD_HASHERS]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        if "browser" in item.keywords and not chromium_path():
            item.add_marker(pytest.mark.skip(reason="Chromium is not installed (Debian's package `chromium`)."))
    if not config.getoption("--database-tests-only"):
        return
    chosen, left_out = [], []
    for item in items:
        touches = "django_db" in item.keywords or {"db", "transactional_db", "live_server"} & set(
            getattr(item, "fixturenames", ())
        )
        (chosen if touches else left_out).append(item)
    config.hook.pytest_deselected(items=left_out)
    items[:] = chosen


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    """Let tests empty the tables: on SQLite that is a DELETE, which the audit trail refuses. Its own tests turn the
    refusal on again.

    At the end, threads that serve requests may still keep a connection, and PostgreSQL drops no database in use.
    """
    with django_db_blocker.unblock():
        if connection.vendor == "sqlite":
            with connection.cursor() as cursor:
                cursor.execute("DROP TRIGGER IF EXISTS audit_entry_kept")
    yield
    with django_db_blocker.unblock():
        if connection.vendor == "postgresql":
            with connection.cursor() as cursor:
                cursor.execute(
                    "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
                    "WHERE datname = current_database() AND pid <> pg_backend_pid()"
                )


@pytest.fixture
def moving_clock() -> Iterator[clock.MovableClock]:
    """A clock that stands at noon of 1 June 2026 until the test moves it."""
    fixed = clock.MovableClock(datetime(2026, 6, 1, 12, tzinfo=UTC))
    with clock.use(fixed):
        yield fixed


@pytest.fixture
def counted_ids() -> Iterator[ids.CountingIds]:
    """Identifiers the test can predict."""
    counting = ids.CountingIds()
    with ids.use(counting):
        yield counting


@pytest.fixture
def correlation_id() -> Iterator[str]:
    """A correlation that is bound while the test runs."""
    with correlation.bind(f"test-{secrets.token_hex(4)}") as bound:
        yield bound


@pytest.fixture(scope="session")
def postgres() -> str:
    """The address of a PostgreSQL server; the test is left out, saying so, where none answers."""
    return postgres_url() or pytest.skip("PostgreSQL does not answer; set ISTHMUS_TEST_POSTGRES_URL.")
