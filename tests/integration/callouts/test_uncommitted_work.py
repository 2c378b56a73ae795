"""No callout while this connection has an open transaction with writes in it."""

import pytest
from django.contrib.auth.models import Group
from django.db import connection, transaction

from callouts import errors, http, uncommitted_work
from callouts.models import IntegrationLogEntry

real = pytest.mark.django_db(transaction=True)


@pytest.fixture(
    params=[pytest.param("committing", marks=real), pytest.param("in a test case", marks=pytest.mark.django_db)]
)
def database(request):
    """Both kinds of database tests: those that really commit, and those that a test case's transaction surrounds."""


def test_a_write_blocks_until_the_block_ends(database):
    with transaction.atomic():
        assert not uncommitted_work.is_pending()
        Group.objects.create(name="one")
        assert uncommitted_work.is_pending()
    assert not uncommitted_work.is_pending()


def test_reads_do_not_block(database):
    with transaction.atomic():
        list(Group.objects.select_for_update())
        Group.objects.count()
        assert not uncommitted_work.is_pending()


def test_writes_outside_of_a_transaction_do_not_block(database):
    Group.objects.create(name="one")
    assert not uncommitted_work.is_pending()


def test_a_write_in_an_inner_block_blocks_until_the_outermost_ends(database):
    with transaction.atomic():
        with transaction.atomic():
            Group.objects.create(name="one")
        assert uncommitted_work.is_pending()
    assert not uncommitted_work.is_pending()


def test_a_rolled_back_savepoint_still_blocks(database):
    with transaction.atomic():
        with transaction.atomic():
            Group.objects.create(name="one")
            transaction.set_rollback(True)
        assert not Group.objects.exists()
        assert uncommitted_work.is_pending()
    assert not uncommitted_work.is_pending()


def test_a_rollback_ends_it(database):
    with transaction.atomic():
        Group.objects.create(name="one")
        transaction.set_rollback(True)
    assert not uncommitted_work.is_pending()


def test_a_decorated_function_begins_anew_at_every_call(database):
    """Django uses one and the same block object for all calls of a decorated function."""
    seen = []

    @transaction.atomic
    def work(writes):
        if writes:
            Group.objects.create(name="one")
        seen.append(uncommitted_work.is_pending())

    work(True)
    work(False)
    assert seen == [True, False]


def test_an_on_commit_hook_is_after_the_transaction(database, django_capture_on_commit_callbacks):
    seen = []
    with django_capture_on_commit_callbacks(execute=True), transaction.atomic():
        Group.objects.create(name="one")
        transaction.on_commit(lambda: seen.append(uncommitted_work.is_pending()))
    assert set(seen) == {False}


def test_raw_writes_count(database):
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("UPDATE auth_group SET name = name")
        assert uncommitted_work.is_pending()


@real
def test_a_new_connection_begins_anew():
    with transaction.atomic():
        Group.objects.create(name="one")
        transaction.set_rollback(True)
    connection.close()
    with transaction.atomic():
        Group.objects.exists()
        assert not uncommitted_work.is_pending()
        Group.objects.create(name="two")
        assert uncommitted_work.is_pending()
    assert connection.execute_wrappers.count(uncommitted_work.watcher_of(connection)) == 1


@real
def test_a_transaction_managed_by_hand_blocks_because_its_end_cannot_be_seen():
    connection.set_autocommit(False)
    try:
        assert uncommitted_work.is_pending()
    finally:
        connection.rollback()
        connection.set_autocommit(True)
    assert not uncommitted_work.is_pending()


@real
def test_a_callout_is_refused_and_the_message_names_the_cure(bank, server):
    with transaction.atomic():
        Group.objects.create(name="one")
        with pytest.raises(errors.UncommittedWorkPending, match=r"callouts\.enqueue\(\.\.\.\)"):
            http.post("callout:Bank/json", json={})
    assert server.connections == 0
    entry = IntegrationLogEntry.objects.get()
    assert (entry.outcome, entry.error_code) == ("refused", "UNCOMMITTED_WORK_PENDING")


@real
def test_a_transaction_without_writes_may_call_out_again_and_again(bank, server):
    """The platform's own log of a callout is no uncommitted work."""
    with transaction.atomic():
        for _ in range(2):
            http.get("callout:Bank/json")
        Group.objects.create(name="one")
    assert len(server.requests) == 2
    assert IntegrationLogEntry.objects.filter(outcome="succeeded").count() == 2


@real
def test_inside_a_transaction_the_log_shares_its_fate(bank, server):
    with transaction.atomic():
        http.get("callout:Bank/json")
        transaction.set_rollback(True)
    assert len(server.requests) == 1
    assert not IntegrationLogEntry.objects.exists()


@real
def test_after_a_commit_callouts_go_again(bank):
    with transaction.atomic():
        Group.objects.create(name="one")
    assert http.get("callout:Bank/json").status_code == 200


@real
def test_what_signing_writes_on_the_way_is_no_uncommitted_work(oauth_bank):
    with transaction.atomic():
        assert http.get("callout:Oauth_Bank/json").status_code == 200
        assert http.get("callout:Oauth_Bank/json").status_code == 200


@real
def test_in_a_broken_transaction_the_refusal_is_what_the_caller_sees(bank, server):
    with transaction.atomic():
        Group.objects.create(name="one")
        transaction.set_rollback(True)
        with pytest.raises(errors.UncommittedWorkPending):
            http.get("callout:Bank/json")
    assert server.connections == 0
