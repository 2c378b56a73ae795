"""Whatever JSON comes to the composite resources: an answer in their shape, or a coded refusal, and never a failure."""

import copy

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.integration.records.conftest import BASE

pytestmark = pytest.mark.django_db

NAMES = [
    *("attributes", "type", "referenceId", "records", "id", "Id", "ids", "fields", "Name", "LastName", "Contacts"),
    *("allOrNone", "compositeRequest", "graphs", "graphId", "batchRequests", "method", "url", "body", "httpHeaders"),
    *("richInput", "haltOnError", "External_Reference__c", "Account", "AccountId", "If-Match"),
]
TEXTS = st.one_of(
    st.sampled_from(
        [
            *(
                "Account",
                "Contact",
                "Nothing__c",
                "001000000000001",
                "001000000000001AAA",
                "GET",
                "POST",
                "PATCH",
                "DELETE",
            ),
            *(
                "@{a.id}",
                "@{b.id}",
                "@{",
                "@{a}",
                "@{.}",
                "x@{a.errors}y",
                "\x00",
                "\ud800",
                "'",
                "%",
                "/",
                "?",
                "true",
            ),
            *(
                f"{BASE}/sobjects/Account",
                f"{BASE}/sobjects/Contact/@{{a.id}}",
                f"{BASE}/composite/sobjects",
                f"{BASE}/",
            ),
            *(
                f"{BASE}/sobjects/%00",
                f"{BASE}/sobjects/Account/%ff",
                "v60.0/sobjects/Account?fields=%00",
                f"{BASE}?q=1",
            ),
            *("Counted__e", "\x00__e", "a" * 300),
        ]
    ),
    st.text(alphabet=st.characters(codec=None), max_size=20),
)
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), TEXTS, st.just(10**400)
)
JSON = st.recursive(
    SCALARS,
    lambda below: st.one_of(
        st.lists(below, max_size=4),
        st.dictionaries(st.one_of(st.sampled_from(NAMES), TEXTS), below, max_size=4),
    ),
    max_leaves=12,
)

ACCOUNT = {"attributes": {"type": "Account", "referenceId": "r"}, "Name": "A", "External_Reference__c": "R"}
NEW_CONTACT = {"attributes": {"type": "Contact", "referenceId": "s"}, "LastName": "A"}
CONTACT = {**NEW_CONTACT, "Id": "003000000000001"}
PARTS = [
    {"referenceId": "a", "method": "POST", "url": f"{BASE}/sobjects/Account", "body": {"Name": "A", "Phone": "1"}},
    {"referenceId": "b", "method": "PATCH", "url": f"{BASE}/sobjects/Account/@{{a.id}}", "body": {"Name": "@{a.id}"}},
    {
        "referenceId": "c",
        "method": "GET",
        "url": f"{BASE}/sobjects/Account/@{{a.id}}?fields=Id",
        "httpHeaders": {"If-Match": "*"},
    },
]
COLLECTION = {"referenceId": "d", "method": "POST", "url": f"{BASE}/composite/sobjects", "body": {"records": [CONTACT]}}
SOUND = {
    ("POST", "composite/sobjects"): {"allOrNone": False, "records": [ACCOUNT, CONTACT]},
    ("PATCH", "composite/sobjects"): {"allOrNone": True, "records": [CONTACT, {**ACCOUNT, "id": "001000000000001"}]},
    ("POST", "composite/sobjects/Account"): {"ids": ["001000000000001"], "fields": ["Id", "Name"]},
    ("PATCH", "composite/sobjects/Account/External_Reference__c"): {"records": [ACCOUNT]},
    ("PATCH", "composite/sobjects/Account/Id"): {"records": [ACCOUNT]},
    ("POST", "composite"): {"allOrNone": False, "compositeRequest": [*PARTS, COLLECTION]},
    ("POST", "composite?all"): {"allOrNone": True, "compositeRequest": [*PARTS, COLLECTION]},
    ("POST", "composite/graph"): {"graphs": [{"graphId": "g", "compositeRequest": PARTS}]},
    ("POST", "composite/batch"): {
        "haltOnError": True,
        "batchRequests": [{"method": "POST", "url": "v60.0/sobjects/Account", "richInput": {"Name": "A"}}, PARTS[0]],
    },
    ("POST", "composite/tree/Account"): {"records": [{**ACCOUNT, "Contacts": {"records": [NEW_CONTACT]}}]},
}


def places(value, path=()):
    """Yield the path to everything in a JSON value."""
    yield path
    if isinstance(value, dict):
        for name, below in value.items():
            yield from places(below, (*path, name))
    elif isinstance(value, list):
        for place, below in enumerate(value):
            yield from places(below, (*path, place))


def replaced(value, path, new, *, remove=False):
    """Return the JSON value with something else, or nothing, at one place."""
    if not path:
        return new
    copied = copy.deepcopy(value)
    inner = copied
    for step in path[:-1]:
        inner = inner[step]
    if remove:
        del inner[path[-1]]
    else:
        inner[path[-1]] = new
    return copied


def require_well_formed(answer):
    assert answer.status_code < 500, answer.content
    found = answer.json()
    if isinstance(found, list) and answer.status_code >= 400:
        assert found
        assert all(isinstance(error["message"], str) and isinstance(error["errorCode"], str) for error in found)
    elif isinstance(found, list):
        assert all(one is None or "attributes" in one or isinstance(one["success"], bool) for one in found)
    elif "compositeResponse" in found:
        require_well_formed_parts(found["compositeResponse"])
    elif "graphs" in found:
        for graph in found["graphs"]:
            assert isinstance(graph["isSuccessful"], bool)
            require_well_formed_parts(graph["graphResponse"]["compositeResponse"])
    else:
        assert isinstance(found["hasErrors"], bool)
        for result in found["results"]:
            assert result.get("statusCode", 400) < 500
            assert {"statusCode", "result"} == set(result) or set(result) in (
                {"referenceId", "id"},
                {"referenceId", "errors"},
            )


def require_well_formed_parts(parts):
    for one in parts:
        assert set(one) == {"body", "httpHeaders", "httpStatusCode", "referenceId"}
        assert one["httpStatusCode"] < 500, one


@st.composite
def mutilated(draw, sound):
    """A body that is sound but for one to three places."""
    body = sound
    for _ in range(draw(st.integers(1, 3))):
        path = draw(st.sampled_from(list(places(body))))
        body = replaced(body, path, draw(JSON), remove=draw(st.booleans()))
    return body


@pytest.mark.parametrize(("method", "path"), SOUND)
def test_sound_bodies_are_sound(api, method, path):
    answer = api.send(method, path, SOUND[method, path])
    require_well_formed(answer)
    assert answer.status_code in {200, 201}


@pytest.mark.parametrize(("method", "path"), SOUND)
def test_any_json_is_answered(api, method, path):
    @settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.one_of(mutilated(SOUND[method, path]), mutilated(SOUND[method, path]), JSON))
    def ask(body):
        require_well_formed(api.send(method, path, body))

    ask()


@settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
@given(ids=TEXTS, fields=TEXTS, flag=TEXTS)
def test_any_parameter_is_answered(api, ids, fields, flag):
    ids, fields, flag = (text.encode(errors="replace").decode() for text in (ids, fields, flag))
    require_well_formed(api.get("composite/sobjects/Account", ids=ids, fields=fields))
    require_well_formed(api.delete("composite/sobjects", ids=ids, allOrNone=flag))


@pytest.mark.parametrize("wrong", [None, True, 1.5, "x", [None], {"a": {"b": []}}])
@pytest.mark.parametrize(("method", "path"), SOUND)
def test_every_place_with_every_shape(api, method, path, wrong):
    sound = SOUND[method, path]
    for place in places(sound):
        require_well_formed(api.send(method, path, replaced(sound, place, wrong)))
        if place:
            require_well_formed(api.send(method, path, replaced(sound, place, None, remove=True)))


@pytest.mark.parametrize(("method", "path"), SOUND)
@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"\xff", b"[" * 100_000, b'{"a":' * 100 + b"1" + b"}" * 100, b'{"records": NaN}', b'{"a": "\\ud800"}'],
)
def test_what_is_no_json_is_refused(api, method, path, body):
    answer = api.send(method, path, body)
    assert (answer.status_code, answer.json()[0]["errorCode"]) == (400, "JSON_PARSER_ERROR")
