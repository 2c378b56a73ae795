"""The signal for code of this process: after the commit, once a statement, for whoever listens."""

import pytest
from django.db import transaction
from django.db.models import F

from crm.models import Account, Contact
from isthmus.objects.actions import Operation, save
from isthmus.objects.capture import record_changed

STAMPS = {"LastModifiedDate", "LastModifiedById", "SystemModstamp"}

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def heard():
    """What was told of contacts: type, names of the records, changed fields without stamps."""
    found = []

    def hear(sender, object_name, record_ids, change_type, changed_fields, **_):
        assert (sender, object_name) == (Contact, "Contact")
        names = {row.record_id: row.last_name for row in Contact.all_objects.all()}
        fields = None if changed_fields is None else [n for n in changed_fields if n not in STAMPS]
        found.append(
            (str(change_type), [names.get(record_id, "gone") for record_id in record_ids], fields and sorted(fields))
        )

    record_changed.connect(hear, sender=Contact)
    yield found
    record_changed.disconnect(hear, sender=Contact)


def test_every_way_to_write_is_heard_once(heard):
    ann = Contact.objects.create(last_name="Ann")
    Account.objects.create(name="not listened to")
    ann.phone = "1"
    ann.save()
    ann.save()
    Contact.objects.bulk_create([Contact(last_name="Bob"), Contact(last_name="Cem")])
    Contact.objects.exclude(last_name="Ann").update(email="b@example.org", title=F("last_name"))
    assert Contact.objects.filter(last_name="Nobody").update(phone="2") == 0
    bob, cem = Contact.objects.filter(last_name__in=["Bob", "Cem"]).order_by("last_name")
    bob.phone = cem.phone = "3"
    Contact.objects.bulk_update([bob, cem], ["phone"])
    ann.delete()
    ann.undelete()
    cem.purge()
    assert heard == [
        ("CREATE", ["Ann"], None),
        ("UPDATE", ["Ann"], ["Phone"]),
        ("CREATE", ["Bob", "Cem"], None),
        ("UPDATE", ["Bob", "Cem"], ["Email", "Title"]),
        ("UPDATE", ["Bob", "Cem"], ["Phone"]),
        ("DELETE", ["Ann"], None),
        ("UNDELETE", ["Ann"], None),
        ("DELETE", ["gone"], None),
    ]


def test_the_write_door_is_heard(heard, admin):
    results = save(admin, "Contact", Operation.CREATE, [{"LastName": "Ann"}, {"LastName": "Bob"}])
    save(admin, "Contact", Operation.UPDATE, [{"Id": result.id, "Phone": "1"} for result in results])
    assert [(kind, names) for kind, names, _ in heard] == [("CREATE", ["Ann", "Bob"]), ("UPDATE", ["Ann", "Bob"])]
    assert "Phone" in heard[1][2]


def test_nothing_is_heard_before_the_commit_nor_of_what_is_rolled_back(heard):
    with transaction.atomic():
        Contact.objects.create(last_name="Ann")
        assert heard == []
        with transaction.atomic():
            Contact.objects.create(last_name="Bob")
            transaction.set_rollback(True)
    assert heard == [("CREATE", ["Ann"], None)]


def test_a_receiver_that_raises_undoes_nothing(heard):
    def refuse(**_):
        raise ValueError("no")

    record_changed.connect(refuse, sender=Contact)
    try:
        Contact.objects.create(last_name="Ann")
    finally:
        record_changed.disconnect(refuse, sender=Contact)
    assert (Contact.objects.count(), heard) == (1, [("CREATE", ["Ann"], None)])
