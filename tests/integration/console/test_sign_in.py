"""Signing in and out."""

import pytest
from django.test import Client

from tests import console_samples as samples


@pytest.fixture
def watching_user(db):
    return samples.user_with("view", name="wanda")


def test_signing_in_leads_to_the_page_that_was_asked_for(client, watching_user):
    answer = client.post(
        "/sign-in/", {"username": "wanda", "password": samples.PASSWORD, "next": "/operations/?state=Failed"}
    )
    assert (answer.status_code, answer.headers["Location"]) == (302, "/operations/?state=Failed")
    assert client.get("/operations/").status_code == 200


def test_signing_in_leads_to_no_other_site(client, watching_user):
    answer = client.post(
        "/sign-in/", {"username": "wanda", "password": samples.PASSWORD, "next": "https://elsewhere.example.org/"}
    )
    assert answer.headers["Location"] == "/"


def test_a_wrong_password_says_so_and_does_not_say_which_half_is_wrong(client, watching_user):
    wrong = client.post("/sign-in/", {"username": "wanda", "password": "wrong"})
    unknown = client.post("/sign-in/", {"username": "nobody", "password": "wrong"})
    for answer in (wrong, unknown):
        assert answer.status_code == 200
        assert 'role="alert"' in answer.content.decode()
        assert "_auth_user_id" not in client.session


def test_signing_out_takes_a_post(watching_user):
    client = Client()
    client.force_login(watching_user)
    assert client.get("/sign-out/").status_code == 405
    assert client.get("/").status_code == 200
    assert client.post("/sign-out/").status_code == 302
    assert client.get("/").status_code == 302


def test_a_form_without_its_token_is_refused(watching_user):
    client = Client(enforce_csrf_checks=True)
    answer = client.post("/sign-in/", {"username": "wanda", "password": samples.PASSWORD})
    assert answer.status_code == 403
    assert "This form has grown old" in answer.content.decode()
    assert "_auth_user_id" not in client.session
