"""The same write through every door comes to the same: the record, the refusal, the change that is told of it."""

import pytest
from django.contrib.auth.models import User

from apexrest import context, http_post, registry, rest_resource
from apexrest.upsert import require_saved
from crm.models import Account, Case, Contact
from isthmus.objects import catalogue
from isthmus.objects.actions import Operation, save
from isthmus.objects.models import ObjectSharing
from isthmus.objects.record_ids import record_id_of
from isthmus.objects.registry import expose
from isthmus.objects.testing import recorded_changes
from tests.integration.records.conftest import BASE, everything_about

pytestmark = pytest.mark.django_db

REFERENCE = "External_Reference__c"
PICKY = "Picky__c"
TAKEN = "Taken"
DIFFERENT = {"Id", "CaseNumber", "CreatedDate", "LastModifiedDate", "SystemModstamp", "attributes"}


def problem(code, message, fields=()):
    return code, message, tuple(sorted(fields))


def listed(errors):
    """Return code, message and fields of each error, whichever list it comes from."""
    return [
        problem(error.get("errorCode") or error.get("statusCode"), error["message"], error.get("fields", ()))
        for error in errors
    ]


def asked(api, answer):
    return [] if answer.status_code < 300 else listed(answer.json())


class Single:
    """One request, one record."""

    def create(self, api, kind, values):
        return asked(api, api.post(f"sobjects/{kind}", values))

    def update(self, api, kind, record_id, values):
        return asked(api, api.patch(f"sobjects/{kind}/{record_id}", values))

    def upsert(self, api, kind, value, values):
        return asked(api, api.patch(f"sobjects/{kind}/{REFERENCE}/{value}", values))

    def delete(self, api, kind, record_id):
        return asked(api, api.delete(f"sobjects/{kind}/{record_id}"))


class Parts:
    """One part of a request that could have more."""

    def send(self, api, method, path, values=None):
        raise NotImplementedError

    def create(self, api, kind, values):
        return self.send(api, "POST", f"sobjects/{kind}", values)

    def update(self, api, kind, record_id, values):
        return self.send(api, "PATCH", f"sobjects/{kind}/{record_id}", values)

    def upsert(self, api, kind, value, values):
        return self.send(api, "PATCH", f"sobjects/{kind}/{REFERENCE}/{value}", values)

    def delete(self, api, kind, record_id):
        return self.send(api, "DELETE", f"sobjects/{kind}/{record_id}")


class Composite(Parts):
    def __init__(self, *, all_or_none):
        self.all_or_none = all_or_none

    def send(self, api, method, path, values=None):
        part = {"referenceId": "x", "method": method, "url": f"{BASE}/{path}", "body": values}
        answer = api.post("composite", {"allOrNone": self.all_or_none, "compositeRequest": [part]})
        (found,) = answer.json()["compositeResponse"]
        return [] if found["httpStatusCode"] < 300 else listed(found["body"])


class Graph(Parts):
    def send(self, api, method, path, values=None):
        part = {"referenceId": "x", "method": method, "url": f"{BASE}/{path}", "body": values}
        answer = api.post("composite/graph", {"graphs": [{"graphId": "g", "compositeRequest": [part]}]})
        (found,) = answer.json()["graphs"][0]["graphResponse"]["compositeResponse"]
        return [] if found["httpStatusCode"] < 300 else listed(found["body"])


class Batch(Parts):
    def send(self, api, method, path, values=None):
        part = {"method": method, "url": f"v60.0/{path}", "richInput": values}
        (found,) = api.post("composite/batch", {"batchRequests": [part]}).json()["results"]
        return [] if found["statusCode"] < 300 else listed(found["result"])


class Collection:
    def __init__(self, *, all_or_none):
        self.all_or_none = all_or_none

    def sent(self, answer):
        if answer.status_code == 404:
            # The object, or the external id, is none that the caller may know of.
            return listed(answer.json())
        assert answer.status_code == 200, answer.content
        (found,) = answer.json()
        return [] if found["success"] else listed(found["errors"])

    def body(self, kind, values):
        return {"allOrNone": self.all_or_none, "records": [{"attributes": {"type": kind}, **values}]}

    def create(self, api, kind, values):
        return self.sent(api.post("composite/sobjects", self.body(kind, values)))

    def update(self, api, kind, record_id, values):
        return self.sent(api.patch("composite/sobjects", self.body(kind, {**values, "Id": record_id})))

    def upsert(self, api, kind, value, values):
        body = self.body(kind, {**values, REFERENCE: value})
        return self.sent(api.patch(f"composite/sobjects/{kind}/{REFERENCE}", body))

    def delete(self, api, kind, record_id):
        return self.sent(api.delete("composite/sobjects", ids=record_id, allOrNone=str(self.all_or_none).lower()))


class Tree:
    """Trees only create."""

    def create(self, api, kind, values):
        record = {"attributes": {"type": kind, "referenceId": "r"}, **values}
        answer = api.post(f"composite/tree/{kind}", {"records": [record]})
        found = answer.json()
        if answer.status_code == 404:
            return listed(found)
        assert found["hasErrors"] == (answer.status_code == 400)
        return listed(found["results"][0]["errors"]) if found["hasErrors"] else []


DOORS = {
    "composite": Composite(all_or_none=False),
    "composite, all or none": Composite(all_or_none=True),
    "graph": Graph(),
    "batch": Batch(),
    "collection": Collection(all_or_none=False),
    "collection, all or none": Collection(all_or_none=True),
    "tree": Tree(),
}


@pytest.fixture
def everything(make_caller):
    """Somebody who may write all of the objects here, one with a restricted picklist among them."""
    picky = expose(
        ObjectSharing, api_name=PICKY, fields={"Name": "object_name", "Default__c": "default"}, external_ids=["Name"]
    )
    try:
        grants = [
            *everything_about("Account", "Contact", "Case"),
            ("object", "read", "User"),
            ("object", "create", PICKY),
        ]
        yield make_caller("writer", grants)[1]
    finally:
        catalogue.unregister(picky)


# What is created, and the codes that come of it.
CREATED = {
    "plain": ("Contact", {"LastName": "Ann"}, []),
    "texts for every type": ("Account", {"Name": "A", "NumberOfEmployees": "12", "AnnualRevenue": "10.5"}, []),
    "null and nothing": ("Case", {"Status": None, "Subject": "", "Priority": None}, []),
    "parent by reference": ("Contact", {"LastName": "Ann", "Account": {REFERENCE: "p"}}, []),
    "parent by id": ("Contact", {"LastName": "Ann", "AccountId": "PARENT"}, []),
    "picklist": (PICKY, {"Name": "Case", "Default__c": "private"}, []),
    "bad picklist": (PICKY, {"Name": "Case", "Default__c": "secret"}, ["INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST"]),
    "missing": ("Contact", {"FirstName": "Ann"}, ["REQUIRED_FIELD_MISSING"]),
    "unknown field": ("Contact", {"LastName": "Ann", "Nmae": 1}, ["INVALID_FIELD"]),
    "too long": ("Contact", {"LastName": "x" * 81}, ["STRING_TOO_LONG"]),
    "email": ("Contact", {"LastName": "Ann", "Email": "nobody"}, ["INVALID_EMAIL_ADDRESS"]),
    "wrong type": ("Account", {"Name": ["A"]}, ["INVALID_TYPE_ON_FIELD_IN_RECORD"]),
    "no number": ("Account", {"Name": "A", "NumberOfEmployees": "many"}, ["INVALID_TYPE_ON_FIELD_IN_RECORD"]),
    "system field": ("Account", {"Name": "A", "CreatedDate": "2020-01-01"}, ["INVALID_FIELD_FOR_INSERT_UPDATE"]),
    "id": ("Account", {"Name": "A", "Id": "001000000000001"}, ["INVALID_FIELD_FOR_INSERT_UPDATE"]),
    "no such parent": ("Contact", {"LastName": "A", "AccountId": "001zz0000000001"}, ["INVALID_CROSS_REFERENCE_KEY"]),
    "malformed parent": ("Contact", {"LastName": "A", "AccountId": "nobody"}, ["MALFORMED_ID"]),
    "no such reference": ("Contact", {"LastName": "A", "Account": {REFERENCE: "q"}}, ["INVALID_FIELD"]),
    "duplicate": ("Case", {"Subject": "S", REFERENCE: TAKEN.upper()}, ["DUPLICATE_VALUE"]),
    "several": (
        "Contact",
        {"Nmae": 1, "Email": "x"},
        ["INVALID_FIELD", "INVALID_EMAIL_ADDRESS", "REQUIRED_FIELD_MISSING"],
    ),
}
CHANGED = {
    "plain": ("Contact", {"FirstName": "Bob", "Email": None}, []),
    "parent": ("Contact", {"AccountId": "PARENT", "Birthdate": "2000-01-31"}, []),
    "nothing": ("Contact", {}, []),
    "cleared": ("Contact", {"LastName": None}, ["REQUIRED_FIELD_MISSING"]),
    "too long": ("Contact", {"LastName": "x" * 81}, ["STRING_TOO_LONG"]),
    "unknown field": ("Contact", {"Nmae": "x"}, ["INVALID_FIELD"]),
    "system field": ("Contact", {"CreatedDate": "2020-01-01"}, ["INVALID_FIELD_FOR_INSERT_UPDATE"]),
    "parent that is not there": ("Contact", {"AccountId": "001zz0000000001"}, ["INVALID_CROSS_REFERENCE_KEY"]),
    "duplicate": ("Case", {REFERENCE: TAKEN}, ["DUPLICATE_VALUE"]),
}


def newest(api, kind):
    model = catalogue.get_object(kind).model
    record = model._base_manager.order_by("-pk").first()
    answer = api.get(f"sobjects/{kind}/{record_id_of(record)}")
    return {name: value for name, value in answer.json().items() if name not in DIFFERENT}


def changes(recorder):
    return [
        (
            change.object_name,
            change.change_type,
            {name: value for name, value in change.changed_fields.items() if name not in DIFFERENT},
            change.user_id,
            change.origin,
        )
        for change in recorder.changes
    ]


@pytest.mark.parametrize("case", CREATED)
def test_creating_is_the_same_through_every_door(everything, case):
    kind, values, codes = CREATED[case]
    parent = Account.objects.create(name="Parent", external_reference="P")
    Case.objects.create(external_reference=TAKEN)
    values = {name: parent.record_id if value == "PARENT" else value for name, value in values.items()}
    model = catalogue.get_object(kind).model
    before = set(model._base_manager.values_list("pk", flat=True))

    def come_to(door):
        with recorded_changes() as recorder:
            errors = door.create(everything, kind, values)
            told = changes(recorder)
        made = model._base_manager.exclude(pk__in=before)
        assert made.count() == int(not errors)
        record = None if errors else newest(everything, kind)
        for one in made:
            one.purge() if hasattr(one, "purge") else one.delete()
        return errors, record, told

    wanted = come_to(Single())
    assert [code for code, *_ in wanted[0]] == codes
    assert len(wanted[2]) == int(not codes and kind != PICKY)
    for name, door in DOORS.items():
        assert come_to(door) == wanted, name


@pytest.mark.parametrize("case", CHANGED)
def test_changing_is_the_same_through_every_door(everything, case):
    kind, values, codes = CHANGED[case]
    parent = Account.objects.create(name="Parent")
    Case.objects.create(external_reference=TAKEN)
    values = {name: parent.record_id if value == "PARENT" else value for name, value in values.items()}

    def come_to(how, door):
        given = {"last_name": "Ann", "email": "a@example.org"} if kind == "Contact" else {"subject": "S"}
        record = catalogue.get_object(kind).model.objects.create(**given, external_reference="R")
        with recorded_changes() as recorder:
            if how == "upsert":
                errors = door.upsert(everything, kind, "r", values)
            else:
                errors = door.update(everything, kind, record.record_id, values)
            told = changes(recorder)
        found = newest(everything, kind)
        record.purge()
        return errors, found, told

    doors = {name: door for name, door in DOORS.items() if name != "tree"}
    wanted = come_to("update", Single())
    assert [code for code, *_ in wanted[0]] == codes
    for name, door in doors.items():
        assert come_to("update", door) == wanted, name
    if REFERENCE not in values:
        for name, door in {"single": Single(), **doors}.items():
            assert come_to("upsert", door) == wanted, name


@pytest.fixture
def endpoint():
    """A custom endpoint that creates a record of whatever it is sent, while the test runs."""
    with registry.register_temporarily():

        @rest_resource("/t/parity")
        class Parity:
            @http_post
            def create(self, kind: str, values: dict[str, object]) -> object:
                result = save(context.request.user, kind, Operation.CREATE, [values])[0]
                return {"id": require_saved(result).id}

        yield "/services/apexrest/t/parity"


@pytest.mark.parametrize("case", [case for case in CREATED if CREATED[case][0] != PICKY])
def test_a_custom_endpoint_comes_to_the_same(make_caller, endpoint, case):
    kind, values, _ = CREATED[case]
    grants = [*everything_about("Account", "Contact", "Case"), ("endpoint", "post", "/t/parity")]
    api = make_caller("writer", [*grants, ("object", "read", "User")])[1]
    parent = Account.objects.create(name="Parent", external_reference="P")
    Case.objects.create(external_reference=TAKEN)
    values = {name: parent.record_id if value == "PARENT" else value for name, value in values.items()}

    def come_to(create):
        with recorded_changes() as recorder:
            answer = create()
            told = [change[:4] for change in changes(recorder)]
        record = newest(api, kind) if answer.status_code in {200, 201} else None
        if record is not None:
            catalogue.get_object(kind).model.objects.order_by("-pk").first().purge()
        return [] if record is not None else listed(answer.json()), record, told

    wanted = come_to(lambda: api.post(f"sobjects/{kind}", values))
    found = come_to(lambda: api.post(endpoint, {"kind": kind, "values": values}))
    errors, *came_to = wanted
    # An endpoint folds what is wrong with a row into one error.
    message = "; ".join(message for _, message, _ in errors)
    folded = [problem(errors[0][0], message, {name for *_, names in errors for name in names})] if errors else []
    assert found == (folded, *came_to)


# --- who may ----------------------------------------------------------------------------------------------------------
FIELDS = [("field", "edit", "Contact.Phone"), ("field", "edit", f"Contact.{REFERENCE}")]
GRANTS = {
    "nothing": [],
    "read": [("object", "read", "Contact"), *FIELDS],
    "create": [("object", "create", "Contact"), *FIELDS],
    "edit": [("object", "edit", "Contact"), *FIELDS],
    "create and edit": [("object", "create", "Contact"), ("object", "edit", "Contact"), *FIELDS],
    "delete": [("object", "delete", "Contact"), *FIELDS],
    "everything": everything_about("Contact"),
    "no field": [("object", action, "Contact") for action in ("create", "edit", "delete")],
    "read the field": [
        *(("object", action, "Contact") for action in ("create", "edit", "delete")),
        ("field", "read", "Contact.*"),
        FIELDS[1],
    ],
}
ALLOWED = {
    "create": {"create", "create and edit", "everything"},
    "update": {"edit", "create and edit", "everything"},
    "upsert": {"create and edit", "everything"},
    "delete": {"delete", "everything", "no field", "read the field"},
}


def outcome(errors):
    """Return "done", "not there", or the code. (A single record that is not there is a 404 with a word of its own.)"""
    codes = {code for code, *_ in errors}
    if not codes:
        return "done"
    return "not there" if codes <= {"NOT_FOUND", "INVALID_CROSS_REFERENCE_KEY"} else sorted(codes)


def attempt(door, operation, api):
    record = Contact.objects.create(last_name="Ann", phone="1", external_reference="R")
    if operation == "create":
        errors = door.create(api, "Contact", {"LastName": "Bob", "Phone": "2"})
    elif operation == "update":
        errors = door.update(api, "Contact", record.record_id, {"Phone": "2"})
    elif operation == "upsert":
        errors = door.upsert(api, "Contact", "R", {"LastName": "Ann", "Phone": "2"})
    else:
        errors = door.delete(api, "Contact", record.record_id)
    record.refresh_from_db()
    is_done = record.is_deleted or record.phone == "2" or Contact.objects.filter(last_name="Bob").exists()
    assert is_done == (not errors)
    for one in Contact.all_objects.all():
        one.purge()
    return outcome(errors)


@pytest.mark.parametrize("operation", ALLOWED)
@pytest.mark.parametrize("grants", GRANTS)
def test_grants_count_at_every_door(make_caller, grants, operation):
    _, api = make_caller("somebody", GRANTS[grants])
    wanted = attempt(Single(), operation, api)
    assert (wanted == "done") == (grants in ALLOWED[operation])
    for name, door in DOORS.items():
        if name != "tree" or operation == "create":
            assert attempt(door, operation, api) == wanted, name


@pytest.mark.parametrize("operation", ["update", "upsert", "delete"])
@pytest.mark.parametrize("default", ["read_only", "private"])
def test_sharing_counts_at_every_door(make_caller, default, operation):
    ObjectSharing.objects.create(object_name="Contact", default=default)
    _, api = make_caller("somebody", everything_about("Contact"))
    wanted = attempt(Single(), operation, api)
    assert wanted == (["INSUFFICIENT_ACCESS_OR_READONLY"] if default == "read_only" else "not there")
    for name, door in DOORS.items():
        if name != "tree":
            assert attempt(door, operation, api) == wanted, name


def test_who_acts_is_told(everything):
    for name, door in DOORS.items():
        door.create(everything, "Account", {"Name": name})
    assert {one.created_by for one in Account.objects.all()} == {User.objects.get(username="writer")}
    assert Account.objects.count() == len(DOORS)
