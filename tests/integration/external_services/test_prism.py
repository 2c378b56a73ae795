"""Prism serves real documents, and is called: what we write is what another reading of the document takes."""

import json
import threading
from wsgiref.simple_server import WSGIRequestHandler, make_server

import pytest
from django.core.wsgi import get_wsgi_application

from callouts.external_services import external_service
from callouts.external_services.actions import register
from callouts.external_services.errors import ExternalServiceError
from callouts.external_services.loaded import document_of
from callouts.external_services.mock.samples import sample, sample_of_media
from callouts.external_services.models import ExternalService, Operation
from credentials.actions import create_external_credential, create_named_credential, create_principal
from credentials.models import NamedCredential
from tests.peers.corpus import CORPUS, require_corpus
from tests.peers.prism import Prism, require_prism
from tests.service_fixtures import SEED_DOCUMENT
from tests.service_handlers import Outcome

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(240)]


@pytest.fixture(autouse=True)
def peers():
    require_prism()
    require_corpus()


def arguments_of(operation):
    """Return what the document's own examples and schemas give for every required parameter, and for the body."""
    pieces = document_of(operation.version)
    contract = operation.contract
    parameters = {
        one.name: sample(pieces, one.schema, direction="request") if one.schema else "text"
        for one in contract.parameters
        if one.required
    }
    body = sample_of_media(pieces, contract.body.media[0], direction="request") if contract.body else None
    return {"parameters": parameters, "body": body}


@pytest.mark.parametrize(
    ("name", "authorization", "most", "checking"),
    [
        ("spotify.com.json", "Bearer {Token}", 40, "fail"),
        ("digitalocean.com.json", "Bearer {Token}", 60, "warn"),
        # Its own made-up answers do not fit the patterns of this document.
        ("twilio.com/api.json", "Basic {Token|base64}", 60, "warn"),
    ],
)
def test_prism_takes_what_we_send_and_we_take_what_it_answers(tmp_path, name, authorization, most, checking):
    external = create_external_credential(
        "Real", protocol="custom_headers", settings={"headers": f"Authorization: {authorization}"}
    )
    principal = create_principal(external, "Main", secrets={"Token": "user:secret"})
    wrong = []
    with Prism(CORPUS / name, tmp_path / "prism.log") as prism:
        door = create_named_credential(
            "Real", url=prism.url, external_credential=external, principal=principal, allow_internal_addresses=True
        )
        register("Real", _without_server_paths((CORPUS / name).read_bytes()), named_credential=door)
        ExternalService.objects.update(answer_checking=checking)
        service = external_service("Real")
        chosen = Operation.objects.filter(is_asynchronous=False).select_related("version").order_by("path", "method")
        count = 0
        for operation in chosen[:most]:
            count += 1
            try:
                service.call(operation.name, **arguments_of(operation))
            except ExternalServiceError as error:
                wrong.append(f"{operation.name}: {error.message[:300]} {getattr(error, 'body', '')!s:.400}")
    assert count == most
    # Prism refuses forms with a list of one item, and takes its own examples of a few answers for wrong.
    assert len(wrong) <= 0.1 * count, "\n".join(wrong)


def _without_server_paths(text):
    """Return a document as Prism serves it: at the paths themselves, whatever its servers have in front of them."""
    document = json.loads(text)
    document.pop("servers", None)
    for item in document["paths"].values():
        item.pop("servers", None)
    return json.dumps(document)


class QuietHandler(WSGIRequestHandler):
    def log_message(self, *_arguments):
        pass


def test_prism_calls_back_where_we_told_it_to(bank_door, tmp_path, settings, jobs):
    """Prism sends the document's callbacks by itself, to the addresses that we put into the request."""
    register("AcmeMortgages", SEED_DOCUMENT.read_bytes(), named_credential=bank_door)
    arrived = threading.Semaphore(0)
    application = get_wsgi_application()

    def noted(environ, start_response):
        try:
            return application(environ, start_response)
        finally:
            arrived.release()

    server = make_server("127.0.0.1", 0, noted, handler_class=QuietHandler)
    settings.BASE_URL = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        with Prism(SEED_DOCUMENT, tmp_path / "prism.log") as prism:
            NamedCredential.objects.update(url=prism.url)
            answer = external_service("AcmeMortgages").submit_application(
                body={"applicant": {"name": "Ada"}}, callback=Outcome, reference="r"
            )
            assert answer.code201.application_number
            assert all(arrived.acquire(timeout=30) for _ in range(3))
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
    [invocation] = ExternalService.objects.get().invocations.all()
    found = {receipt.callback_name: receipt.state for receipt in invocation.receipts.all()}
    assert set(found) == {"applicationOutcomeApproved", "applicationOutcomeRejected", "applicationError"}
    assert invocation.state == "Completed"
    assert "processed" in found.values()
