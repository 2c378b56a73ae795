"""Rotation disturbs nobody: readers always open what they read, writers' changes stay, a killed run goes on."""

import threading
from contextlib import closing

import pytest
from django.db import connection
from django.test import override_settings

from credentials.models import ExternalCredential, Principal, PrincipalSecret
from isthmus import ids
from isthmus.keys import new_encryption_key
from isthmus.vault import actions
from isthmus.vault.registry import encrypted_columns

OLD, NEW = new_encryption_key(), new_encryption_key()
NEW_ID = NEW.partition(":")[0]
COUNT = 600


@pytest.fixture
def column():
    (found,) = [each for each in encrypted_columns() if each.label == "credentials.principalsecret.value"]
    return found


@pytest.fixture
def rows():
    external = ExternalCredential.objects.create(name="Acme", protocol="basic")
    principal = Principal.objects.create(external_credential=external, name="Main")
    with override_settings(ISTHMUS_ENCRYPTION_KEYS=OLD):
        made = [
            PrincipalSecret(id=ids.new_uuid(), principal=principal, name=f"n{i}", value=f"s{i}") for i in range(COUNT)
        ]
        PrincipalSecret.objects.bulk_create(made)
    return made


@pytest.mark.django_db(transaction=True)
def test_readers_and_writers_go_on_while_everything_is_sealed_again(column, rows):
    trouble, reads, stop = [], [], threading.Event()

    def read():
        with closing(connection):
            while not stop.is_set():
                for row in PrincipalSecret.objects.order_by("?")[:20]:
                    try:
                        reads.append(row.value.reveal())
                    except Exception as error:
                        trouble.append(error)

    def write():
        with closing(connection):
            for row in PrincipalSecret.objects.filter(name__in=[f"n{i}" for i in range(0, COUNT, 50)]):
                row.value = "changed"
                row.save()

    with override_settings(ISTHMUS_ENCRYPTION_KEYS=f"{NEW},{OLD}"):
        threads = [threading.Thread(target=read), threading.Thread(target=write)]
        for thread in threads:
            thread.start()
        actions.rotate(column, batch_size=50)
        threads[1].join()
        stop.set()
        threads[0].join()
        report = actions.verify(column)
    assert trouble == []
    assert reads
    assert report.broken == []
    assert report.keys == {NEW_ID: COUNT}
    values = {row.name: row.value for row in PrincipalSecret.objects.all()}
    with override_settings(ISTHMUS_ENCRYPTION_KEYS=NEW):
        assert all(
            value.reveal() == ("changed" if int(name[1:]) % 50 == 0 else f"s{name[1:]}")
            for name, value in values.items()
        )


@pytest.mark.django_db(transaction=True)
def test_a_run_that_dies_in_the_middle_goes_on_where_it_stopped(column, rows):
    class Killed(BaseException):
        pass

    def die(_count):
        raise Killed

    with override_settings(ISTHMUS_ENCRYPTION_KEYS=f"{NEW},{OLD}"):
        with pytest.raises(Killed):
            actions.rotate(column, batch_size=100, progress=die)
        assert actions.count_left(column) == COUNT - 100
        assert actions.rotate(column, batch_size=100).resealed == COUNT - 100
        assert actions.verify(column).keys == {NEW_ID: COUNT}
