"""The sample app's endpoints, and somebody who may call them."""

import importlib
import json
import sys

import pytest
from django.contrib.auth.models import User
from django.test import Client

from apexrest import registry
from isthmus.access.actions import assign, ensure_permission_set, issue_access_token

SAMPLES = "tests.rest_samples.rest_resources"


@pytest.fixture
def samples():
    """The sample app's resources are published while the test runs."""
    with registry.register_temporarily():
        sys.modules.pop(SAMPLES, None)
        yield importlib.import_module(SAMPLES)


@pytest.fixture
def caller(db, samples):
    """An ordinary user who may call every sample and write cases."""
    user = User.objects.create_user("integration")
    mappings = [resource.mapping for resource in registry.all_resources()]
    methods = [method.lower() for method in registry.HTTP_METHODS]
    permission_set = ensure_permission_set(
        "Endpoint_Samples",
        "Endpoint samples",
        [("endpoint", method, mapping) for mapping in mappings for method in methods]
        + [("object", action, "Case") for action in ("create", "read", "edit")]
        + [("object", action, "Contact") for action in ("create", "read", "edit")]
        + [("field", "edit", "Case.*"), ("field", "edit", "Contact.*")],
    )
    assign(permission_set, user)
    return user


class Api:
    """An HTTP client with an access token."""

    def __init__(self, token):
        self.http = Client(raise_request_exception=False)
        self.token = token

    def send(self, method, path, body=None, content_type="application/json", **headers):
        given = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        sent = {**given, **{name.replace("_", "-"): value for name, value in headers.items()}}
        data = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        return self.http.generic(method, f"/services/apexrest{path}", data, content_type=content_type, headers=sent)

    def get(self, path, **headers):
        return self.send("GET", path, **headers)

    def post(self, path, body=None, **more):
        return self.send("POST", path, body, **more)


@pytest.fixture
def api(caller):
    return Api(issue_access_token(caller))


@pytest.fixture
def stranger(db, samples):
    """An API client of a user without any grant."""
    return Api(issue_access_token(User.objects.create_user("stranger")))


@pytest.fixture
def nobody(db, samples):
    return Api("")
