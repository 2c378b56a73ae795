"""One key a database transaction, whatever happens to its savepoints, and no query for it."""

import pytest
from django.db import transaction

from events.transactions import current_transaction

pytestmark = pytest.mark.django_db(transaction=True)


class Undo(Exception):
    pass


def key_in_savepoint(*, undone):
    try:
        with transaction.atomic():
            key = current_transaction().key
            if undone:
                raise Undo
    except Undo:
        pass
    return key


def test_outside_a_transaction_there_is_no_key():
    with pytest.raises(transaction.TransactionManagementError):
        current_transaction()


def test_a_transaction_has_one_key_and_asks_no_query(django_assert_num_queries):
    with transaction.atomic():
        with django_assert_num_queries(0):
            first = current_transaction()
            assert current_transaction() is first
        assert list(first.take_ordinals(2)) == [1, 2]
        assert list(first.take_ordinals(1)) == [3]


def test_the_next_transaction_has_another_key_after_a_commit():
    with transaction.atomic():
        first = current_transaction().key
    with transaction.atomic():
        assert current_transaction().key != first


def test_the_next_transaction_has_another_key_after_a_rollback():
    first = key_in_savepoint(undone=True)  # Outermost: the whole transaction.
    with transaction.atomic():
        assert current_transaction().key != first


def test_a_savepoint_shares_the_key_of_its_transaction():
    with transaction.atomic():
        first = current_transaction().key
        assert key_in_savepoint(undone=False) == first
        assert key_in_savepoint(undone=True) == first
        assert current_transaction().key == first


def test_a_key_made_in_a_savepoint_lasts_to_the_end_of_the_transaction():
    with transaction.atomic():
        first = key_in_savepoint(undone=False)
        assert current_transaction().key == first
    with transaction.atomic():
        assert current_transaction().key != first


def test_a_key_made_in_a_savepoint_that_is_undone_goes_with_all_that_carries_it():
    with transaction.atomic():
        gone = key_in_savepoint(undone=True)
        first = current_transaction().key
        assert first != gone
        assert key_in_savepoint(undone=False) == first
    with transaction.atomic():
        assert current_transaction().key not in {first, gone}


def test_what_commit_hooks_publish_belongs_to_transactions_of_their_own():
    found = []

    def hook():
        with transaction.atomic():
            found.append(current_transaction().key)

    with transaction.atomic():
        transaction.on_commit(hook)
        first = current_transaction().key
        transaction.on_commit(hook)
    assert len({first, *found}) == 3
