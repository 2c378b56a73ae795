"""Deleting moves records to the recycle bin with what depends on them; undeleting brings that back, and only that."""

import pytest
from django.db.models import ProtectedError

from crm.models import Account, Case, Contact, Opportunity, Order
from isthmus.objects.errors import UndeleteRefused
from isthmus.objects.models import ClearedReference

pytestmark = pytest.mark.django_db


@pytest.fixture
def acme(db):
    return Account.objects.create(name="Acme")


def test_a_deleted_record_is_out_of_sight_but_not_gone(acme):
    assert acme.delete() == (1, {"crm.Account": 1})
    assert acme.is_deleted
    assert acme.pk is not None
    assert not Account.objects.exists()
    assert Account.all_objects.deleted().get() == acme
    assert Account.all_objects.live().count() == 0


def test_deleting_again_changes_nothing(acme, recorder):
    acme.delete()
    deletion = acme.deletion
    recorder.clear()
    assert acme.delete() == (0, {})
    assert Account.objects.all().delete() == (0, {})
    assert Account.all_objects.get().deletion == deletion
    assert recorder.changes == []


def test_what_depends_on_it_goes_along_under_one_deletion(acme):
    contact = Contact.objects.create(last_name="A", account=acme)
    Opportunity.objects.create(name="B", account=acme, stage_name="C", close_date="2026-01-01")
    bystander = Contact.objects.create(last_name="B")
    acme.delete()
    contact.refresh_from_db()
    assert contact.deletion == acme.deletion
    assert list(Contact.objects.all()) == [bystander]
    assert not Opportunity.objects.exists()


def test_a_protected_record_stays_with_everything(acme, recorder):
    Contact.objects.create(last_name="A", account=acme)
    order = Order.objects.create(account=acme)
    recorder.clear()
    with pytest.raises(ProtectedError):
        acme.delete()
    assert Account.objects.get() == acme
    assert Contact.objects.count() == 1
    assert recorder.changes == []
    order.delete()
    acme.delete()
    assert not Account.objects.exists()


def test_undelete_brings_back_what_one_deletion_took(acme):
    earlier = Contact.objects.create(last_name="Earlier", account=acme)
    along = Contact.objects.create(last_name="Along", account=acme)
    earlier.delete()
    acme.delete()
    assert acme.undelete() == 2
    assert not acme.is_deleted
    assert acme.deletion is None
    assert list(Contact.objects.all()) == [along]
    assert earlier.undelete() == 1
    assert Contact.objects.count() == 2


def test_undelete_gives_cleared_references_back_unless_they_were_given_anew(acme):
    other = Account.objects.create(name="Other")
    untouched, moved = Case.objects.create(account=acme), Case.objects.create(account=acme)
    acme.delete()
    assert list(Case.objects.values_list("account", flat=True)) == [None, None]
    Case.objects.filter(pk=moved.pk).update(account=other)
    acme.undelete()
    untouched.refresh_from_db()
    moved.refresh_from_db()
    assert (untouched.account, moved.account) == (acme, other)
    assert not ClearedReference.objects.exists()


def test_a_record_does_not_come_back_without_what_it_belongs_to(acme, recorder):
    contact = Contact.objects.create(last_name="A", account=acme)
    acme.delete()
    recorder.clear()
    with pytest.raises(UndeleteRefused, match="The account it belongs to is deleted"):
        Contact.all_objects.get(pk=contact.pk).undelete()
    assert not Contact.objects.exists()
    assert recorder.changes == []


def test_what_is_not_in_the_recycle_bin_cannot_be_undeleted(acme):
    with pytest.raises(UndeleteRefused, match="not in the recycle bin"):
        acme.undelete()


def test_a_record_that_was_never_saved_has_no_row_to_delete():
    with pytest.raises(ValueError, match="never saved"):
        Account(name="New").delete()


def test_records_that_refer_to_themselves_and_each_other_end(acme):
    child = Account.objects.create(name="Child", parent=acme)
    acme.parent = child
    acme.save()
    acme.delete()
    child.refresh_from_db()
    assert child.parent is None
    acme.undelete()
    child.refresh_from_db()
    assert child.parent == acme


def test_many_are_deleted_and_come_back_one_by_one(acme):
    other = Account.objects.create(name="Other")
    Contact.objects.create(last_name="A", account=acme)
    Contact.objects.create(last_name="B", account=other)
    assert Account.objects.all().delete()[0] == 4
    assert Account.all_objects.get(pk=acme.pk).undelete() == 2
    assert list(Account.objects.all()) == [acme]
    assert Account.all_objects.all().undelete() == 2
    assert Contact.objects.count() == 2


def test_a_purge_forgets_everything(acme):
    Case.objects.create(account=acme)
    contact = Contact.objects.create(last_name="A", account=acme)
    acme.delete()
    assert ClearedReference.objects.count() == 1
    acme.purge()
    assert not Account.all_objects.exists()
    assert not Contact.all_objects.filter(pk=contact.pk).exists()
    assert not ClearedReference.objects.exists()


def test_purging_many_forgets_as_well(acme):
    Case.objects.create(account=acme)
    acme.delete()
    Account.all_objects.all().purge()
    assert not ClearedReference.objects.exists()


def test_a_slice_cannot_be_deleted_or_updated(acme):
    with pytest.raises(TypeError, match="limit"):
        Account.objects.all()[:1].delete()
    with pytest.raises(TypeError, match="slice"):
        Account.objects.all()[:1].update(name="x")
    with pytest.raises(ValueError, match="keeps its id"):
        Account.objects.update(id=5)


def test_a_manager_cannot_empty_a_table_by_a_slip():
    assert not hasattr(Account.objects, "delete")
    assert not hasattr(Account.all_objects, "purge")
