"""Registering: numbered versions, what works and what does not, names that stay."""

import json
from threading import Barrier, Thread

import pytest
from django.core.exceptions import ValidationError
from django.db import connection

from callouts.external_services import external_service
from callouts.external_services.actions import register
from callouts.external_services.document.reading import read
from callouts.external_services.errors import DocumentRefused, UnknownExternalService, VersionUnsupported
from callouts.external_services.loaded import document_of
from callouts.external_services.models import ExternalService, ExternalServiceVersion, Operation
from credentials.models import NamedCredential
from tests.service_fixtures import BANK_DOCUMENT, SEED_DOCUMENT

pytestmark = pytest.mark.django_db


def document(*operation_ids, **more):
    paths = {f"/{number}": {"get": {"operationId": name}} for number, name in enumerate(operation_ids)}
    return json.dumps({"openapi": "3.0.3", "info": {"title": "T", "version": "1"}, "paths": paths, **more})


def test_the_published_mortgage_document_is_registered_word_for_word():
    report = register("AcmeMortgages", SEED_DOCUMENT.read_bytes())
    assert report.as_json() == {
        "service": "AcmeMortgages",
        "version": 1,
        "openapi": "3.0.0",
        "changed": True,
        "active": True,
        "operations": [
            {
                "operationId": "SubmitApplication",
                "name": "submit_application",
                "method": "POST",
                "path": "/applications",
                "asynchronous": True,
                "callbacks": ["applicationOutcomeApproved", "applicationOutcomeRejected", "applicationError"],
            }
        ],
        "skipped": [],
        "problems": [],
        "changes": [],
        "credentials": [],
    }
    service = ExternalService.objects.get()
    [source] = service.active_version.sources.all()
    assert source.text == SEED_DOCUMENT.read_text()
    assert document_of(service.active_version).at("/paths") == json.loads(source.text)["paths"]
    assert service.active_version.title == "Acme Mortgages"
    assert external_service("AcmeMortgages").operations == {"submit_application": "SubmitApplication"}


def test_the_same_document_in_another_form_changes_nothing():
    yaml = BANK_DOCUMENT.read_bytes()
    first = register("Bank", yaml)
    as_json = json.dumps(read(yaml).content)
    again = register("Bank", as_json)
    assert (first.is_changed, again.is_changed) == (True, False)
    assert (first.version, again.version) == (1, 1)
    assert again.operations == first.operations
    assert ExternalServiceVersion.objects.count() == 1


def test_another_document_makes_another_version_and_the_old_one_stays():
    register("S", document("a", "b"))
    report = register("S", document("a", "c"), activation="always")
    assert (report.version, report.is_changed) == (2, True)
    service = ExternalService.objects.get()
    assert service.active_version.number == 2
    assert {
        version.number: sorted(version.operations.values_list("name", flat=True)) for version in service.versions.all()
    } == {
        1: ["a", "b"],
        2: ["a", "c"],
    }
    assert register("S", document("a", "b")).version == 3


def test_what_does_not_work_is_kept_with_the_version():
    paths = {"/a": {"get": {"operationId": "a"}}, "/b": {"post": {"operationId": "b", "requestBody": {"$ref": "#/x"}}}}
    report = register("S", json.dumps({"openapi": "3.0.0", "paths": paths}, indent=1))
    assert [found.operation for found in report.skipped] == ["b"]
    assert ExternalServiceVersion.objects.get().problems == [
        {
            "effect": "cannot be called",
            "operation": "b",
            "pointer": "/paths/~1b/post/requestBody",
            "reason": "there is nothing at #/x",
            "line": 12,
        }
    ]
    assert list(Operation.objects.values_list("name", flat=True)) == ["a"]


@pytest.mark.parametrize(
    ("given", "error"),
    [("{", DocumentRefused), ('{"swagger": "1.2"}', VersionUnsupported), (document(), DocumentRefused)],
)
def test_a_document_that_is_refused_leaves_nothing_behind(given, error):
    with pytest.raises(error):
        register("S", given)
    assert not ExternalService.objects.exists()


@pytest.mark.parametrize("name", ["", "1st", "a-b", "a b", "x" * 81])
def test_a_malformed_name_is_refused(name):
    with pytest.raises(ValidationError):
        register(name, document("a"))
    assert not ExternalService.objects.exists()


def test_names_are_unique_whatever_the_document_calls_its_operations():
    report = register("S", document("getUser", "get_user", "get-user", "call", "import", "☃"))
    assert {found.operation_id: found.name for found in report.operations} == {
        "getUser": "get_user_2",
        "get_user": "get_user_3",
        "get-user": "get_user",
        "call": "call_2",
        "import": "import_",
        "☃": "operation_2",
    }


def test_an_operation_keeps_its_name_and_nobody_inherits_it():
    register("S", document("get-user"))
    report = register("S", document("getUser", "get-user"))
    assert {found.operation_id: found.name for found in report.operations} == {
        "getUser": "get_user_2",
        "get-user": "get_user",
    }
    gone = register("S", document("getUser", "get_user"))
    assert {found.operation_id: found.name for found in gone.operations} == {
        "getUser": "get_user_2",
        "get_user": "get_user_3",
    }


def test_label_and_credential_stay_where_nothing_is_said_about_them(bank_door):
    register("S", document("a"), named_credential="Acme_Bank", label="The S")
    register("S", document("b"))
    service = ExternalService.objects.get()
    assert (service.label, service.named_credential) == ("The S", bank_door)
    with pytest.raises(NamedCredential.DoesNotExist):
        register("S", document("c"), named_credential="Nobody")
    assert service.versions.count() == 2


def test_an_unknown_service():
    with pytest.raises(UnknownExternalService, match="'Nothing'"):
        external_service("Nothing")


@pytest.mark.django_db(transaction=True)
def test_registrations_at_the_same_time_are_numbered_one_after_the_other():
    barrier, errors = Barrier(6), []

    def run(number):
        try:
            barrier.wait()
            register("S", document(f"op{number}"))
        except BaseException as error:
            errors.append(error)
        finally:
            connection.close()

    threads = [Thread(target=run, args=[number]) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert sorted(ExternalServiceVersion.objects.values_list("number", flat=True)) == [1, 2, 3, 4, 5, 6]
