"""What the tests of records share: a recorder of changes, users with grants, a counter of statements."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from django.contrib.auth import get_user_model
from django.db import connection
from django.test.utils import CaptureQueriesContext

from isthmus.access.actions import assign, ensure_permission_set
from isthmus.objects.testing import ChangeRecorder, recorded_changes


@pytest.fixture
def recorder() -> Iterator[ChangeRecorder]:
    with recorded_changes() as found:
        yield found


@pytest.fixture
def user_with(db) -> Callable[..., object]:
    """Make a user whose one permission set has these grants."""

    def make(*grants, username="integration"):
        user = get_user_model().objects.create_user(username)
        assign(ensure_permission_set(f"set_of_{username}", "Test", grants), user)
        return user

    return make


@pytest.fixture
def admin(db):
    return get_user_model().objects.create_superuser("root")


@contextmanager
def statements() -> Iterator[list[str]]:
    """Collect the SQL of the block."""
    found: list[str] = []
    with CaptureQueriesContext(connection) as captured:
        yield found
    found.extend(query["sql"] for query in captured.captured_queries)


@pytest.fixture
def count_statements() -> Callable[[Callable[[], object]], int]:
    """Return how many statements on the standard objects' tables a call takes; what sinks do is theirs."""

    def count(call):
        with statements() as found:
            call()
        return sum('"crm_' in sql for sql in found)

    return count
