"""The set-up pages: documents are registered, invocations are read and cancelled, secrets stay in."""

import io
import zipfile

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse

from callouts.external_services.models import CallbackReceipt, ExternalService, Invocation
from tests.service_fixtures import BANK_DOCUMENT, SEED_DOCUMENT

pytestmark = pytest.mark.django_db
ADD = "admin:external_services_externalservice_add"


def upload(path):
    return SimpleUploadedFile(path.name, path.read_bytes())


def test_a_service_begins_with_its_document(admin_client, bank_door, admin_user):
    given = {"name": "Bank", "label": "The bank", "named_credential": bank_door.pk, "answer_checking": "fail"}
    response = admin_client.post(reverse(ADD), given)
    assert "A service begins with its document." in response.content.decode()
    assert not ExternalService.objects.exists()
    response = admin_client.post(reverse(ADD), {**given, "document": upload(BANK_DOCUMENT)}, follow=True)
    assert "Version 1: 2 operations can be called." in response.content.decode()
    service = ExternalService.objects.get()
    assert (service.label, service.named_credential, service.active_version.number) == ("The bank", bank_door, 1)
    assert service.active_version.registered_by == admin_user
    assert service.answer_checking == "fail"


def test_a_document_is_pasted_fetched_or_an_archive(admin_client, bank_door, callout_mock):
    given = {"label": "", "named_credential": bank_door.pk, "answer_checking": "warn"}
    admin_client.post(reverse(ADD), {**given, "name": "Pasted", "pasted": BANK_DOCUMENT.read_text()})
    callout_mock.get("callout:Acme_Bank/openapi.yaml", body=BANK_DOCUMENT.read_bytes())
    admin_client.post(reverse(ADD), {**given, "name": "Fetched", "address": "callout:Acme_Bank/openapi.yaml"})
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as archive:
        archive.writestr("bank/openapi.yaml", BANK_DOCUMENT.read_text())
    admin_client.post(
        reverse(ADD), {**given, "name": "Archived", "document": SimpleUploadedFile("bank.zip", held.getvalue())}
    )
    found = {service.name: service.active_version.operations.count() for service in ExternalService.objects.all()}
    assert found == {"Archived": 2, "Fetched": 2, "Pasted": 2}
    callout_mock.get("callout:Acme_Bank/gone", status=404)
    for more, told in (
        ({"pasted": "x: 1", "address": "callout:Acme_Bank/openapi.yaml"}, "Give the document once"),
        ({"address": "callout:Acme_Bank/gone"}, "answered 404"),
        ({"pasted": "just text"}, "not a mapping"),
    ):
        response = admin_client.post(reverse(ADD), {**given, "name": "Other", **more})
        assert told in response.content.decode()
    assert ExternalService.objects.count() == 3


def test_a_new_document_makes_a_new_version(admin_client, bank):
    service = ExternalService.objects.get()
    change = reverse("admin:external_services_externalservice_change", args=[service.pk])
    given = {"label": "Renamed", "named_credential": service.named_credential_id, "answer_checking": "warn"}
    admin_client.post(change, given)
    service.refresh_from_db()
    assert (service.label, service.active_version.number) == ("Renamed", 1)
    admin_client.post(change, {**given, "document": upload(SEED_DOCUMENT)})
    service.refresh_from_db()
    # It lacks operations that the first one has, so somebody has to switch.
    assert (service.name, service.active_version.number, service.versions.count()) == ("Bank", 1, 2)
    bad = SimpleUploadedFile("bad.json", b"{")
    response = admin_client.post(change, {**given, "document": bad}, follow=True)
    assert "The document is not JSON" in response.content.decode()
    assert service.versions.count() == 2


@pytest.mark.parametrize(
    "name", ["externalservice", "externalserviceversion", "operation", "invocation", "callbackreceipt"]
)
def test_every_list_opens(admin_client, submitted, name):
    submitted().call_back()
    assert admin_client.get(reverse(f"admin:external_services_{name}_changelist")).status_code == 200


def test_pages_of_one_show_no_secret(admin_client, submitted):
    sent = submitted()
    sent.call_back(body={"applicationNumber": "A-1", "status": "x", "password": "hunter2"})
    token = sent.invocation.callback_token.reveal()
    Invocation.objects.update(response_body={"access_token": "swordfish"})
    for name, pk in (("invocation", sent.invocation.pk), ("callbackreceipt", CallbackReceipt.objects.get().pk)):
        page = admin_client.get(reverse(f"admin:external_services_{name}_change", args=[pk])).content.decode()
        assert "A-1" in page or name == "invocation"
        for secret in (token, "hunter2", "swordfish"):
            assert secret not in page


def test_the_chosen_invocations_are_cancelled(admin_client, submitted):
    waiting, done = submitted(reference="a"), submitted(reference="b")
    done.call_back()
    response = admin_client.post(
        reverse("admin:external_services_invocation_changelist"),
        {"action": "cancel_chosen", "_selected_action": [waiting.invocation.pk, done.invocation.pk]},
        follow=True,
    )
    assert "1 cancelled." in response.content.decode()
    assert (waiting.invocation.state, done.invocation.state) == ("Cancelled", "Completed")


def test_invocations_are_not_changed_or_deleted_here(admin_client, submitted):
    pk = submitted().invocation.pk
    change = reverse("admin:external_services_invocation_change", args=[pk])
    assert admin_client.post(change, {"state": "Completed"}).status_code == 403
    assert admin_client.post(reverse("admin:external_services_invocation_delete", args=[pk])).status_code == 403
    assert Invocation.objects.get().state == "Waiting"
