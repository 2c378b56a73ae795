"""Bodies and answers of every kind that documents know."""

import io
import json
from email.parser import BytesParser
from email.policy import HTTP

import pytest

from callouts.external_services import Upload, external_service
from callouts.external_services.actions import register
from callouts.external_services.errors import AnswerInvalid, ArgumentsRefused, RequestRefused, UnexpectedAnswer
from callouts.external_services.models import ExternalService
from tests.integration.external_services.documents import SWAGGER

pytestmark = pytest.mark.django_db

PET = {
    "type": "object",
    "required": ["name"],
    "properties": {
        "name": {"type": "string"},
        "id": {"type": "integer", "xml": {"attribute": True}},
        "tags": {
            "type": "array",
            "xml": {"name": "Tags", "wrapped": True},
            "items": {"type": "string", "xml": {"name": "Tag"}},
        },
        "photoUrls": {"type": "array", "items": {"type": "string", "xml": {"name": "photo"}}},
        "alive": {"type": "boolean"},
    },
    "xml": {"name": "Pet"},
}
FORM = {
    "type": "object",
    "properties": {"a": {"type": "array", "items": {"type": "integer"}}, "b": {"type": "object"}, "c": {}},
}
DOCUMENT = {
    "openapi": "3.0.3",
    "info": {"title": "Kinds", "version": "1"},
    "paths": {
        "/any": {
            "post": {
                "operationId": "any",
                "requestBody": {
                    "content": {
                        "application/json": {"schema": PET},
                        "application/xml": {"schema": PET},
                        "text/plain": {},
                        "application/octet-stream": {},
                        "multipart/form-data": {
                            "schema": {
                                "type": "object",
                                "required": ["photo"],
                                "properties": {
                                    "photo": {"type": "string", "format": "binary"},
                                    "more": {"type": "array", "items": {"type": "string", "format": "binary"}},
                                    "about": {"type": "object"},
                                    "title": {"type": "string", "maxLength": 5},
                                },
                            },
                            "encoding": {"about": {"contentType": "application/vnd.about+json"}},
                        },
                    }
                },
                "responses": {
                    "200": {
                        "description": "",
                        "headers": {"X-Left": {"schema": {"type": "integer"}}, "X-RateLimit-Reset": {}},
                        "content": {
                            "application/json": {"schema": PET},
                            "application/xml": {"schema": PET},
                            "application/pdf": {},
                            "text/csv": {},
                        },
                    },
                    "4XX": {
                        "description": "",
                        "content": {"application/json": {"schema": {"properties": {"errorCode": {}}}}},
                    },
                },
            }
        },
        "/form": {
            "post": {
                "operationId": "form",
                "requestBody": {
                    "content": {
                        "application/x-www-form-urlencoded": {
                            "schema": FORM,
                            "encoding": {
                                "a": {"style": "spaceDelimited", "explode": False},
                                "b": {"style": "deepObject", "explode": True},
                            },
                        }
                    }
                },
                "responses": {"204": {"description": ""}},
            }
        },
    },
}
URL = "callout:Acme_Bank/any"


@pytest.fixture
def kinds(bank_door):
    register("Kinds", json.dumps(DOCUMENT), named_credential=bank_door)
    return external_service("Kinds")


def sent(kinds, callout_mock, **arguments):
    callout_mock.post(URL, json={"name": "x"})
    kinds.any(**arguments)
    return callout_mock.calls[-1]


def test_the_first_kind_that_fits_what_is_given_is_sent(kinds, callout_mock):
    call = sent(kinds, callout_mock, body={"name": "Rex"})
    assert (call.headers["Content-Type"], call.json()) == ("application/json", {"name": "Rex"})
    call = sent(kinds, callout_mock, body=b"\x00\xff")
    assert (call.headers["Content-Type"], call.body) == ("application/octet-stream", b"\x00\xff")
    call = sent(kinds, callout_mock, body=io.BytesIO(b"opened"))
    assert (call.headers["Content-Type"], call.body) == ("application/octet-stream", b"opened")
    call = sent(kinds, callout_mock, body={"photo": b"png"})
    assert call.headers["Content-Type"].startswith("multipart/form-data; boundary=")


def test_the_caller_chooses_the_content_type(kinds, callout_mock):
    call = sent(kinds, callout_mock, body="hello", content_type="text/plain")
    assert (call.headers["Content-Type"], call.body) == ("text/plain", b"hello")
    with pytest.raises(ArgumentsRefused) as refused:
        kinds.any(body="x", content_type="image/png")
    assert refused.value.problems[0].pointer == "/content_type"
    assert "application/json, multipart/form-data, application/xml" in refused.value.problems[0].message


def test_xml_is_written_by_its_schema(kinds, callout_mock):
    body = {"id": 7, "name": "Rex & Co", "tags": ["a", "b"], "photoUrls": ["u", "v"], "alive": True}
    call = sent(kinds, callout_mock, body=body, content_type="application/xml")
    assert call.headers["Content-Type"] == "application/xml"
    assert call.body.decode().splitlines()[1] == (
        '<Pet id="7"><name>Rex &amp; Co</name><Tags><Tag>a</Tag><Tag>b</Tag></Tags><photo>u</photo><photo>v</photo>'
        "<alive>true</alive></Pet>"
    )


def test_xml_is_read_by_its_schema(kinds, callout_mock):
    text = (
        b'<p:Pet xmlns:p="urn:x" id="7"><name>Rex &amp; Co</name><Tags><Tag>a</Tag><Tag>b</Tag></Tags>'
        b"<photo>u</photo><photo>v</photo><alive>true</alive></p:Pet>"
    )
    callout_mock.post(URL, body=text, headers={"Content-Type": "application/xml"})
    assert kinds.any(body={"name": "x"}).body == {
        "id": 7,
        "name": "Rex & Co",
        "tags": ["a", "b"],
        "photoUrls": ["u", "v"],
        "alive": True,
    }


@pytest.mark.parametrize(
    "body",
    [
        b'<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><Pet><name>&b;</name></Pet>',
        b'<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><Pet><name>&e;</name></Pet>',
        b"<Pet><name>",
        b"no xml",
    ],
)
def test_xml_that_declares_entities_is_refused(kinds, callout_mock, body):
    callout_mock.post(URL, body=body, headers={"Content-Type": "application/xml"})
    with pytest.raises(UnexpectedAnswer, match="not XML"):
        kinds.any(body={"name": "x"})


def test_parts_of_a_multipart_body(kinds, callout_mock):
    body = {
        "photo": Upload(content=b"\x89PNG", filename='a"b.png'),
        "more": [b"1", Upload(content=b"2", filename="two.bin", content_type="application/x-two")],
        "about": {"n": 1},
        "title": "Hällo",
    }
    call = sent(kinds, callout_mock, body=body)
    head = f"Content-Type: {call.headers['Content-Type']}\r\n\r\n".encode()
    message = BytesParser(policy=HTTP).parsebytes(head + call.body)
    assert [
        (
            part.get_param("name", header="content-disposition"),
            part.get_filename(),
            part.get("Content-Type"),
            part.get_payload(decode=True),
        )
        for part in message.iter_parts()
    ] == [
        ("photo", "a%22b.png", "image/png", b"\x89PNG"),
        ("more", "file", "application/octet-stream", b"1"),
        ("more", "two.bin", "application/x-two", b"2"),
        ("about", None, "application/vnd.about+json", b'{"n":1}'),
        ("title", None, None, "Hällo".encode()),
    ]
    again = sent(kinds, callout_mock, body=body)
    assert again.body == call.body


def test_a_multipart_body_is_checked_too(kinds, callout_mock):
    with pytest.raises(ArgumentsRefused) as refused:
        kinds.any(body={"title": "too long", "more": [b"x"]})
    assert {problem.pointer for problem in refused.value.problems} == {"/body", "/body/title"}
    assert callout_mock.calls == []


def test_fields_of_a_form_are_written_in_their_styles(kinds, callout_mock):
    callout_mock.post("callout:Acme_Bank/form", status=204)
    kinds.form(body={"a": [1, 2], "b": {"c": "d e"}, "c": [True, {"x": 1}]})
    assert callout_mock.calls[0].body == b"a=1%202&b%5Bc%5D=d%20e&c=true&c=%7B%22x%22%3A+1%7D"


def test_answers_are_typed_by_their_status(kinds, callout_mock):
    headers = {"X-Left": "3", "X-RateLimit-Reset": "60"}
    callout_mock.post(URL, json={"name": "Rex", "photoUrls": ["u"], "owner": {"firstName": "Ada"}}, headers=headers)
    answer = kinds.any(body={"name": "x"})
    assert answer.code200.name == "Rex"
    assert answer.code200.photo_urls == answer.code2XX.photoUrls == ["u"]
    assert answer.code200.owner.first_name == "Ada"
    assert answer.code_default == answer.body
    assert answer.code201 is None
    assert dict(answer.typed_headers) == {"X-Left": 3, "X-RateLimit-Reset": "60"}
    assert dict(answer.limits) == {"X-RateLimit-Reset": "60"}
    with pytest.raises(AttributeError, match="there is: name, owner, photo_urls"):
        _ = answer.code200.nothing
    with pytest.raises(AttributeError):
        _ = answer.code9


def test_errors_carry_the_whole_answer(kinds, callout_mock):
    callout_mock.post(URL, status=409, json={"errorCode": "TAKEN"})
    with pytest.raises(RequestRefused) as refused:
        kinds.any(body={"name": "x"})
    assert (refused.value.response_status, refused.value.body) == (409, {"errorCode": "TAKEN"})
    assert refused.value.response.code4XX.error_code == "TAKEN"


def test_other_kinds_of_answers(kinds, callout_mock):
    for kind, body in (("application/pdf", b"%PDF"), ("text/csv; charset=utf-8", b"a,b")):
        callout_mock.post(URL, body=body, headers={"Content-Type": kind})
    assert [kinds.any(body={"name": "x"}).body for _ in range(2)] == [b"%PDF", "a,b"]


def test_an_answer_that_does_not_fit_is_a_warning_or_an_error(kinds, callout_mock):
    callout_mock.post(URL, json={"id": "seven"})
    answer = kinds.any(body={"name": "x"})
    assert {problem.pointer for problem in answer.problems} == {"/", "/id"}
    ExternalService.objects.update(answer_checking="fail")
    with pytest.raises(AnswerInvalid) as invalid:
        kinds.any(body={"name": "x"})
    assert invalid.value.answer.body == {"id": "seven"}
    ExternalService.objects.update(answer_checking="off")
    assert kinds.any(body={"name": "x"}).problems == ()


def test_openapi_2_0_is_called_like_the_others(bank_door, callout_mock):
    register("Old", json.dumps(SWAGGER), named_credential=bank_door)
    old = external_service("Old")
    callout_mock.get("callout:Acme_Bank/v1/pets", json=[{"name": "Rex"}], headers={"X-Left": "2"})
    answer = old.list(page=2, tags=["a", "b"], ids=["1", "2"])
    assert callout_mock.calls[0].url == "callout:Acme_Bank/v1/pets?page=2&tags=a%7Cb&ids=1&ids=2"
    assert (answer.code200, answer.typed_headers["X-Left"]) == ([{"name": "Rex"}], 2)
    with pytest.raises(ArgumentsRefused) as refused:
        old.add(body={"name": 1})
    assert [problem.pointer for problem in refused.value.problems] == ["/body/name"]
    callout_mock.post("callout:Acme_Bank/v1/photos", status=200)
    old.photo(body={"file": b"png", "title": "t"})
    assert callout_mock.calls[-1].headers["Content-Type"].startswith("multipart/form-data; boundary=")
    with pytest.raises(ArgumentsRefused) as refused:
        old.photo(body={"title": 3, "other": "x"})
    assert {problem.pointer for problem in refused.value.problems} == {"/body/file", "/body/title", "/body/other"}
