"""The content security policy: strict everywhere, looser only under the admin."""

import pytest


def policy(answer):
    return {
        directive: set(sources)
        for directive, *sources in (part.split() for part in answer.headers["Content-Security-Policy"].split(";"))
    }


STRICT = {
    "default-src": {"'self'"},
    "script-src": {"'self'"},
    "style-src": {"'self'"},
    "img-src": {"'self'", "data:"},
    "object-src": {"'none'"},
    "base-uri": {"'none'"},
    "form-action": {"'self'"},
    "frame-ancestors": {"'none'"},
}


@pytest.mark.parametrize("address", ["/sign-in/", "/", "/no-such-page", "/healthz", "/administration/", "/admin-not"])
def test_the_policy_is_strict(client, db, address):
    assert policy(client.get(address)) == STRICT


@pytest.mark.parametrize("address", ["/admin/", "/admin/login/", "/admin/auth/user/"])
def test_the_admin_may_evaluate_and_style(admin_client, address):
    assert policy(admin_client.get(address)) == {
        **STRICT,
        "script-src": {"'self'", "'unsafe-eval'"},
        "style-src": {"'self'", "'unsafe-inline'"},
    }


def test_one_answer_for_the_admin_does_not_loosen_the_next_one(admin_client):
    admin_client.get("/admin/")
    assert policy(admin_client.get("/")) == STRICT
