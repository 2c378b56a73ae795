"""Clients that are written from documents do what the untyped one does, with types."""

import io
import json
import sys
from datetime import UTC, date, datetime
from importlib.util import module_from_spec, spec_from_file_location
from uuid import UUID

import pytest
from django.core.management import call_command

from callouts.external_services.actions import register
from callouts.external_services.errors import ArgumentsRefused, RequestRefused
from callouts.external_services.typed import UNSET, as_json, from_json
from tests.integration.external_services.documents import SWAGGER
from tests.integration.external_services.test_corpus import assert_formatted_and_typed
from tests.service_fixtures import SEED_DOCUMENT
from tests.service_handlers import Outcome

pytestmark = pytest.mark.django_db

DOCUMENT = {
    "openapi": "3.1.0",
    "info": {"title": 'Shop "of" \\things\\ with a long title that goes on and on, for more than a line has room',
             "version": "1"},
    "paths": {
        "/orders/{orderId}": {
            "put": {
                "operationId": "putOrder",
                "summary": "Put it.",
                "parameters": [
                    {"name": "orderId", "in": "path", "required": True, "schema": {"type": "string", "format": "uuid"}},
                    {"name": "class", "in": "query", "schema": {"enum": ["it's", 'a "b"', 1, None]}},
                    {"name": "body", "in": "query", "schema": {"type": "boolean"}},
                    {"name": "since", "in": "query", "schema": {"type": "string", "format": "date"}},
                ],
                "requestBody": {
                    "required": True,
                    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Order"}}},
                },
                "responses": {
                    "200": {"description": "", "content": {
                        "application/json": {"schema": {"$ref": "#/components/schemas/Order"}}}},
                    "202": {"description": "", "content": {"application/json": {"schema": {"type": "array", "items": {
                        "oneOf": [{"$ref": "#/components/schemas/Card"}, {"$ref": "#/components/schemas/Cash"}],
                        "discriminator": {"propertyName": "kind"}}}}}},
                    "4XX": {"description": "", "content": {
                        "application/problem+json": {"schema": {"properties": {"title": {"type": "string"}}}}}},
                },
            }
        }
    },
    "components": {
        "schemas": {
            "Order": {
                "description": "What somebody wants.",
                "type": "object",
                "required": ["id", "payment", "made"],
                "properties": {
                    "id": {"type": "string", "format": "uuid"},
                    "made": {"type": "string", "format": "date-time"},
                    "shipOn": {"type": "string", "format": "date"},
                    "note": {"type": ["string", "null"]},
                    "import": {"type": "integer"},
                    "payment": {"oneOf": [
                        {"$ref": "#/components/schemas/Card"}, {"$ref": "#/components/schemas/Cash"}]},
                    "parent": {"$ref": "#/components/schemas/Order"},
                    "lines": {"type": "array", "items": {"type": "object", "properties": {"sku": {"type": "string"}}}},
                },
                "additionalProperties": {"type": "integer"},
            },
            "Card": {"type": "object", "required": ["kind", "number"],
                     "properties": {"kind": {"const": "Card"}, "number": {"type": "string"}}},
            "Cash": {"allOf": [{"type": "object", "required": ["kind"], "properties": {"kind": {"const": "Cash"}}},
                               {"type": "object", "properties": {"amount": {"type": "number"}}}]},
        }
    },
}  # fmt: skip
ORDER_ID = UUID("3fa85f64-5717-4562-b3fc-2c963f66afa6")


def written(name, path):
    out = io.StringIO()
    call_command("external_service", "client", name, stdout=out)
    path.write_text(out.getvalue())
    return out.getvalue()


def loaded(path):
    spec = spec_from_file_location(path.stem, path)
    module = module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def shop(bank_door, tmp_path):
    register("Shop", json.dumps(DOCUMENT), named_credential=bank_door)
    path = tmp_path / "a_client_of_the_shop.py"
    written("Shop", path)
    yield loaded(path)
    del sys.modules[path.stem]


def test_what_is_written_is_formatted_and_typed(bank_door, tmp_path):
    for name, document in (
        ("Shop", json.dumps(DOCUMENT)),
        ("Old", json.dumps(SWAGGER)),
        ("Acme", SEED_DOCUMENT.read_text()),
    ):
        register(name, document)
        assert_formatted_and_typed(written(name, tmp_path / f"{name}.py"), tmp_path / f"{name}_.py")


def test_calls_are_made_and_answers_read_as_classes(shop, callout_mock):
    order = shop.Order(
        id=str(ORDER_ID),
        made=datetime(2026, 1, 2, 3, tzinfo=UTC),
        ship_on=date(2026, 1, 5),
        import_=3,
        payment=shop.Card(kind="Card", number="4242"),
        lines=[shop.OrderLinesItem(sku="a")],
        further={"weight": 7},
    )
    answer = {
        "id": str(ORDER_ID), "made": "2026-01-02T03:00:00Z", "shipOn": "2026-01-05", "note": None,
        "payment": {"kind": "Cash", "amount": 3}, "parent": {"id": str(ORDER_ID), "made": "2026-01-02T03:00:00Z",
        "payment": {"kind": "Card", "number": "1"}}, "weight": 8,
    }  # fmt: skip
    url = f"callout:Acme_Bank/orders/{ORDER_ID}"
    callout_mock.put(url, json=answer)
    client = shop.Shop()
    response = client.put_order(order, order_id=ORDER_ID, class_="it's", body_=True, since=date(2026, 1, 1))
    [call] = callout_mock.calls
    assert call.url == f"{url}?class=it%27s&body=true&since=2026-01-01"
    assert call.json() == {
        "id": str(ORDER_ID), "made": "2026-01-02T03:00:00Z", "shipOn": "2026-01-05", "import": 3,
        "payment": {"kind": "Card", "number": "4242"}, "lines": [{"sku": "a"}], "weight": 7,
    }  # fmt: skip
    assert response.code202 is None
    found = response.code200
    assert isinstance(found, shop.Order)
    assert (found.id, found.made, found.ship_on) == (ORDER_ID, datetime(2026, 1, 2, 3, tzinfo=UTC), date(2026, 1, 5))
    assert (found.note, found.import_, found.further) == (None, None, {"weight": 8})
    assert found.payment == shop.Cash(kind="Cash", amount=3.0)
    assert found.parent.payment == shop.Card(kind="Card", number="1")
    assert response.answer.status == 200


def test_other_answers(shop, callout_mock):
    url = f"callout:Acme_Bank/orders/{ORDER_ID}"
    order = shop.Order(id=ORDER_ID, made=datetime(2026, 1, 2, tzinfo=UTC), payment=shop.Cash(kind="Cash"))
    callout_mock.put(url, status=202, json=[{"kind": "Cash"}, {"kind": "Card", "number": "1"}])
    callout_mock.put(url, status=409, json={"title": "no"}, headers={"Content-Type": "application/problem+json"})
    response = shop.Shop().put_order(order, order_id=ORDER_ID)
    assert (response.code200, response.code202) == (
        None, [shop.Cash(kind="Cash"), shop.Card(kind="Card", number="1")]
    )  # fmt: skip
    with pytest.raises(RequestRefused) as refused:
        shop.Shop().put_order(order, order_id=ORDER_ID)
    assert shop.PutOrderResponse(refused.value.response).code4XX.title == "no"


def test_arguments_are_checked_as_ever(shop, callout_mock):
    order = shop.Order(id="no uuid", made=datetime(2026, 1, 2, tzinfo=UTC), payment=shop.Cash(kind="Cash"))
    with pytest.raises(ArgumentsRefused) as refused:
        shop.Shop().put_order(order, order_id=ORDER_ID)
    assert [problem.pointer for problem in refused.value.problems] == ["/body/id"]


def test_nothing_and_null_differ(shop):
    given = {"id": ORDER_ID, "made": datetime(2026, 1, 2, tzinfo=UTC), "payment": shop.Cash(kind="Cash")}
    assert "note" not in as_json(shop.Order(**given))
    assert shop.Order(**given).note is UNSET
    assert as_json(shop.Order(**given, note=None))["note"] is None


def test_an_asynchronous_operation(mortgages, tmp_path, callout_mock, jobs):
    path = tmp_path / "a_client_of_the_bank.py"
    written("AcmeMortgages", path)
    bank = loaded(path)
    callout_mock.post("callout:Acme_Bank/applications", status=201, json={"applicationNumber": "A-1"})
    response = bank.AcmeMortgages().submit_application(
        bank.SubmitApplicationBody(applicant=bank.Contact(name="Ada")), callback=Outcome, reference="lead-1"
    )
    assert response.code201.application_number == "A-1"
    assert response.answer.invocation_id is not None


@pytest.mark.parametrize(
    ("wanted", "value", "found"),
    [
        (date, "soon", "soon"), (int | None, None, None), (list[date], ["2026-01-01"], [date(2026, 1, 1)]),
        (dict[str, float], {"a": 1}, {"a": 1.0}), (date | str, "2026-01-01", date(2026, 1, 1)), (str | int, 3, 3),
        (str | int, True, True), (float | None, 2, 2.0),
    ],
)  # fmt: skip
def test_values_that_do_not_fit_stay_as_they_are(wanted, value, found):
    assert from_json(wanted, value) == found
