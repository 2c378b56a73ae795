"""One key a database transaction, whatever happens to its savepoints, and no query for it."""

import pytest
from django.db import connection, transaction

from isthmus.objects.capture.transactions import transaction_key

pytestmark = pytest.mark.django_db(transaction=True)


class Undo(Exception):
    pass


def key_in_savepoint(*, undone):
    try:
        with transaction.atomic():
            key = transaction_key(connection)
            if undone:
                raise Undo
    except Undo:
        pass
    return key


def test_outside_a_transaction_every_statement_has_its_own_key():
    assert transaction_key(connection) != transaction_key(connection)


def test_a_transaction_has_one_key_and_asks_no_query(django_assert_num_queries):
    with transaction.atomic(), django_assert_num_queries(0):
        assert transaction_key(connection) == transaction_key(connection)


def test_the_next_transaction_has_another_key_after_a_commit():
    with transaction.atomic():
        first = transaction_key(connection)
    with transaction.atomic():
        assert transaction_key(connection) != first


def test_the_next_transaction_has_another_key_after_a_rollback():
    first = key_in_savepoint(undone=True)  # Outermost: the whole transaction.
    with transaction.atomic():
        assert transaction_key(connection) != first


def test_a_savepoint_shares_the_key_of_its_transaction():
    with transaction.atomic():
        first = transaction_key(connection)
        assert key_in_savepoint(undone=False) == first
        assert key_in_savepoint(undone=True) == first
        assert transaction_key(connection) == first


def test_a_key_made_in_a_savepoint_lasts_to_the_end_of_the_transaction():
    with transaction.atomic():
        first = key_in_savepoint(undone=False)
        assert transaction_key(connection) == first
    with transaction.atomic():
        assert transaction_key(connection) != first


def test_a_key_made_in_a_savepoint_that_is_undone_goes_with_all_that_carries_it():
    with transaction.atomic():
        gone = key_in_savepoint(undone=True)
        first = transaction_key(connection)
        assert first != gone
        assert key_in_savepoint(undone=False) == first
    with transaction.atomic():
        assert transaction_key(connection) not in {first, gone}


def test_what_commit_hooks_publish_belongs_to_transactions_of_their_own():
    found = []

    def hook():
        with transaction.atomic():
            found.append(transaction_key(connection))

    with transaction.atomic():
        transaction.on_commit(hook)
        first = transaction_key(connection)
        transaction.on_commit(hook)
    assert len({first, *found}) == 3
