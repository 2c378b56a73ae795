"""Fields that hold bytes: written as base64 or as parts of a body, told as a path, read as they are."""

import base64

import pytest
from django.apps import apps
from django.db import connection, models

from isthmus.objects import catalogue
from isthmus.objects.capture.triggers import synchronise_triggers
from isthmus.objects.models import RawChange, Record
from isthmus.objects.registry import expose
from isthmus.objects.testing import recorded_changes
from tests.integration.records.conftest import everything_about

pytestmark = pytest.mark.django_db(transaction=True)

CONTENT = bytes(range(256))
WRITTEN = base64.b64encode(CONTENT).decode()


@pytest.fixture
def papers(transactional_db):
    """The model of an sObject with blobs, while the test runs."""

    class Paper(Record):
        name = models.CharField(max_length=80)
        body = models.BinaryField(null=True, blank=True)
        thumbnail = models.BinaryField(max_length=10, blank=True, default=b"")
        scan = models.FileField(blank=True)

        class Meta(Record.Meta):
            app_label = "crm"

    with connection.schema_editor() as editor:
        editor.create_model(Paper)
    exposed = {"Name": "name", "Body": "body", "Thumbnail": "thumbnail", "Scan": "scan"}
    object_type = expose(Paper, api_name="Paper", key_prefix="069", fields=exposed)
    synchronise_triggers(connection.alias)
    yield Paper
    catalogue.unregister(object_type)
    with connection.schema_editor() as editor:
        editor.delete_model(Paper)
    del apps.all_models["crm"]["paper"]
    apps.clear_cache()
    RawChange.objects.filter(object_name="Paper").delete()


@pytest.fixture
def door(papers, make_caller):
    return make_caller("scribe", everything_about("Paper"))[1]


def test_bytes_go_in_and_come_out(papers, door, make_salesforce, tmp_path):
    client = make_salesforce(door.token)
    made = client.Paper.create({"Name": "A", "Body": WRITTEN})["id"]
    assert bytes(papers.objects.get().body) == CONTENT
    found = client.Paper.get(made)
    assert found["Body"] == f"/services/data/v59.0/sobjects/Paper/{made}/Body"
    assert (found["Thumbnail"], found["Scan"]) == (None, None)
    assert client.Paper.get_base64(made, "Body") == CONTENT
    answer = door.get(f"sobjects/Paper/{made}/body")
    assert (answer.content, answer["Content-Type"]) == (CONTENT, "application/octet-stream")
    assert (answer["Content-Disposition"], answer["X-Content-Type-Options"]) == ("attachment", "nosniff")
    (tmp_path / "new").write_bytes(b"new")
    assert client.Paper.update_base64(made, str(tmp_path / "new"), "Body") == 204
    assert bytes(papers.objects.get().body) == b"new"
    assert client.Paper.update(made, {"Body": None, "Thumbnail": ""}) == 204
    assert client.Paper.get(made)["Body"] is None
    assert door.get(f"sobjects/Paper/{made}/Body").status_code == 404


_NO_BLOBS = [
    ("not base64", "INVALID_TYPE_ON_FIELD_IN_RECORD"),
    ("QUJD=", "INVALID_TYPE_ON_FIELD_IN_RECORD"),
    ("QUJ", "INVALID_TYPE_ON_FIELD_IN_RECORD"),
    ("ä", "INVALID_TYPE_ON_FIELD_IN_RECORD"),
    (5, "INVALID_TYPE_ON_FIELD_IN_RECORD"),
    (["QUJD"], "INVALID_TYPE_ON_FIELD_IN_RECORD"),
    (base64.b64encode(b"12345678901").decode(), "MAXIMUM_SIZE_OF_ATTACHMENT"),
    ("A" * 4_000_000, "MAXIMUM_SIZE_OF_ATTACHMENT"),
]


def test_what_is_no_blob_for_the_field(papers, door):
    for value, code in _NO_BLOBS:
        answer = door.post("sobjects/Paper", {"Name": "A", "Thumbnail": value})
        assert (answer.status_code, answer.json()[0]["errorCode"]) == (400, code)
        assert answer.json()[0]["fields"] == ["Thumbnail"]
    assert not papers.objects.exists()


def test_how_large_a_blob_may_be_is_a_setting(papers, door, settings):
    settings.ISTHMUS_OBJECTS_MAX_BLOB_BYTES = 256
    assert door.post("sobjects/Paper", {"Name": "A", "Body": WRITTEN}).status_code == 201
    settings.ISTHMUS_OBJECTS_MAX_BLOB_BYTES = 255
    refused = door.post("sobjects/Paper", {"Name": "A", "Body": WRITTEN})
    assert (refused.status_code, refused.json()[0]["errorCode"]) == (400, "MAXIMUM_SIZE_OF_ATTACHMENT")


def test_describe_tells_clients_that_they_are_no_columns(papers, door):
    fields = {one["name"]: one for one in door.get("sobjects/Paper/describe").json()["fields"]}
    for name in ("Body", "Thumbnail", "Scan"):
        field = fields[name]
        assert (field["type"], field["soapType"]) == ("base64", "xsd:base64Binary")
        assert not any(field[what] for what in ("filterable", "sortable", "groupable", "aggregatable"))
    assert fields["Body"]["createable"]
    # A file lies in a storage that no rollback reaches: it is read here and written elsewhere.
    assert not fields["Scan"]["createable"]
    assert door.post("sobjects/Paper", {"Name": "A", "Scan": WRITTEN}).status_code == 400


def test_files_are_read(papers, door, settings, tmp_path):
    settings.MEDIA_ROOT = tmp_path
    (tmp_path / "scan.bin").write_bytes(CONTENT)
    paper = papers.objects.create(name="A", scan="scan.bin")
    path = f"sobjects/Paper/{paper.record_id}"
    assert door.get(path).json()["Scan"].endswith(f"{paper.record_id}/Scan")
    assert door.get(f"{path}/Scan").content == CONTENT
    (tmp_path / "scan.bin").unlink()
    assert door.get(f"{path}/Scan").status_code == 404


def test_only_who_may_read_the_field(papers, make_caller, door):
    paper = papers.objects.create(name="A", body=CONTENT)
    _, reader = make_caller("reader", [("object", "read", "Paper")])
    assert "Body" not in reader.get(f"sobjects/Paper/{paper.record_id}").json()
    assert reader.get(f"sobjects/Paper/{paper.record_id}/Body").status_code == 404
    _, stranger = make_caller("stranger", [])
    assert stranger.get(f"sobjects/Paper/{paper.record_id}/Body").status_code == 404
    refused = door.delete(f"sobjects/Paper/{paper.record_id}/Body")
    assert (refused.status_code, refused["Allow"]) == (405, "GET")


def test_changes_never_carry_bytes(papers, door):
    with recorded_changes() as recorder:
        made = door.post("sobjects/Paper", {"Name": "A", "Body": WRITTEN}).json()["id"]
        door.patch(f"sobjects/Paper/{made}", {"Name": "B", "Body": base64.b64encode(b"\xff\xfe").decode()})
        door.delete(f"sobjects/Paper/{made}")
        assert recorder.told == [
            ("Paper", "CREATE", {"Name": "A"}),
            ("Paper", "UPDATE", {"Name": "B"}),
            ("Paper", "DELETE", {}),
        ]
        noted = [{**(row.old_values or {}), **(row.new_values or {})} for row in RawChange.objects.all()]
    assert noted
    assert not [row for row in noted if {"body", "thumbnail", "scan"} & row.keys()]


# --- several parts ----------------------------------------------------------------------------------------------------
def _parts(*parts, end="--xyz--\r\n"):
    pieces = [
        f"--xyz\r\nContent-Disposition: form-data; {disposition}\r\nContent-Type: {kind}\r\n\r\n".encode()
        + content
        + b"\r\n"
        for disposition, kind, content in parts
    ]
    return b"".join(pieces) + end.encode()


def _send(door, method, path, body, content_type="multipart/form-data; boundary=xyz"):
    headers = {"Authorization": f"Bearer {door.token}"}
    return door.http.generic(method, f"/services/data/v60.0/{path}", body, content_type=content_type, headers=headers)


_FIELDS = ('name="entity_document"', "application/json", b'{"Name": "A"}')
_BODY = ('name="Body"; filename="a.bin"', "application/octet-stream", CONTENT)


def test_blobs_as_parts_of_a_body(papers, door):
    answer = _send(door, "POST", "sobjects/Paper/", _parts(_FIELDS, _BODY))
    assert answer.status_code == 201
    assert bytes(papers.objects.get(name="A").body) == CONTENT
    changed = ('name="x"; filename="x.json"', "application/json", b'{"Name": "B"}')
    path = f"sobjects/Paper/{answer.json()['id']}"
    assert _send(door, "PATCH", path, _parts(changed, (_BODY[0], "image/png", b"\x00"))).status_code == 204
    paper = papers.objects.get()
    assert (paper.name, bytes(paper.body)) == ("B", b"\x00")


_REFUSED = [
    (b"", "multipart/form-data; boundary=xyz", "JSON_PARSER_ERROR"),
    (b"nonsense", "multipart/form-data; boundary=xyz", "JSON_PARSER_ERROR"),
    (_parts(_FIELDS, _BODY), "multipart/form-data", "JSON_PARSER_ERROR"),
    (_parts(_BODY), "multipart/form-data; boundary=xyz", "JSON_PARSER_ERROR"),
    (_parts(_FIELDS, _FIELDS), "multipart/form-data; boundary=xyz", "JSON_PARSER_ERROR"),
    (_parts(_FIELDS, _BODY, _BODY), "multipart/form-data; boundary=xyz", "JSON_PARSER_ERROR"),
    (_parts((_FIELDS[0], _FIELDS[1], b"[]"), _BODY), "multipart/form-data; boundary=xyz", "JSON_PARSER_ERROR"),
    (_parts((_FIELDS[0], _FIELDS[1], b"\xff"), _BODY), "multipart/form-data; boundary=xyz", "JSON_PARSER_ERROR"),
    (
        _parts(_FIELDS, ('name="Thumbnail"; filename="a"', "image/png", b"x" * 11)),
        "multipart/form-data; boundary=xyz",
        "MAXIMUM_SIZE_OF_ATTACHMENT",
    ),
    (
        _parts(_FIELDS, ('name="Nothing"; filename="a"', "image/png", b"x")),
        "multipart/form-data; boundary=xyz",
        "INVALID_FIELD",
    ),
    (
        _parts((*_FIELDS[:2], b"{}"), ('name="Name"; filename="a"', "image/png", b"x")),
        "multipart/form-data; boundary=xyz",
        "INVALID_TYPE_ON_FIELD_IN_RECORD",
    ),
]


def test_parts_that_are_refused(papers, door):
    for body, content_type, code in _REFUSED:
        answer = _send(door, "POST", "sobjects/Paper", body, content_type)
        assert (answer.status_code, answer.json()[0]["errorCode"]) == (400, code)
    assert not papers.objects.exists()
