"""Python names are made of whatever a document calls its operations."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callouts.external_services.description.names import allocate, operation_id_for, snake_case


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("SubmitApplication", "submit_application"),
        ("submitApplication", "submit_application"),
        ("getHTTPStatus", "get_http_status"),
        ("list-pets.v2", "list_pets_v2"),
        ("repos/get", "repos_get"),
        ("2fa", "op_2fa"),
        ("import", "import_"),
        ("OAuth2Token", "o_auth2_token"),
        ("already_snake", "already_snake"),
        ("__init__", "init"),
        ("☃", ""),
        ("", ""),
    ],
)
def test_snake_case(text, name):
    assert snake_case(text) == name


@given(st.text())
def test_a_name_is_a_name_or_nothing(text):
    name = snake_case(text)
    assert name == "" or (name.isidentifier() and name.isascii() and not name.startswith("_"))


def test_operations_without_an_id():
    assert operation_id_for("GET", "/") == "get"
    assert operation_id_for("post", "/v1/pets/{petId}/photos") == "post_v1_pets_by_pet_id_photos"


def test_names_that_are_taken_get_a_number():
    assert allocate("a", []) == "a"
    assert allocate("a", ["a", "a_2"]) == "a_3"
