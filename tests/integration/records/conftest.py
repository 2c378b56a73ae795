"""The record API and its callers: one who may do everything to the standard objects, and unmodified clients."""

import json
from urllib.parse import urlencode

import pytest
import requests
from django.contrib.auth.models import User
from django.test import Client
from simple_salesforce import Salesforce

from isthmus.access.actions import assign, ensure_permission_set, issue_access_token
from tests.salesforce_front import HOST, behind

BASE = "/services/data/v60.0"
OBJECTS = ("Account", "Contact", "Case", "Lead", "Opportunity", "Order")


class Api:
    """An HTTP client with an access token, below one version of the API."""

    def __init__(self, token):
        self.http = Client(raise_request_exception=False)
        self.token = token

    def send(self, method, path, body=None, query=None, **headers):
        given = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        sent = {**given, **{name.replace("_", "-"): value for name, value in headers.items()}}
        data = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        full = path if path.startswith("/services") else f"{BASE}/{path}"
        asked = f"{full}?{urlencode(query)}" if query else full
        return self.http.generic(method, asked, data, content_type="application/json", headers=sent)

    def get(self, path, **query):
        return self.send("GET", path, query=query)

    def post(self, path, body=None, **headers):
        return self.send("POST", path, body, **headers)

    def patch(self, path, body=None, **headers):
        return self.send("PATCH", path, body, **headers)

    def delete(self, path, **query):
        return self.send("DELETE", path, query=query)

    def query(self, soql):
        """Return the records that a SOQL query finds."""
        answer = self.get("query", q=soql)
        assert answer.status_code == 200, answer.content
        return answer.json()["records"]


def everything_about(*objects):
    """Return the grants with which somebody reads and writes every field of these objects."""
    return [
        grant
        for name in objects
        for grant in [
            *(("object", action, name) for action in ("create", "read", "edit", "delete")),
            ("field", "edit", f"{name}.*"),
        ]
    ]


@pytest.fixture
def make_caller(db):
    """Returns a function that makes an ordinary user with these grants, and gives it back with its `Api`."""

    def made(username, grants):
        user = User.objects.create_user(username, f"{username}@example.org")
        if grants:
            assign(ensure_permission_set(username.title(), username.title(), grants), user)
        return user, Api(issue_access_token(user))

    return made


@pytest.fixture
def clerk(make_caller):
    """An ordinary user who may do everything to the standard objects, and see users."""
    return make_caller("clerk", [*everything_about(*OBJECTS), ("object", "read", "User"), ("field", "read", "User.*")])


@pytest.fixture
def api(clerk):
    return clerk[1]


@pytest.fixture
def make_salesforce(live_server, settings):
    """Returns a function that makes simple-salesforce's client for the holder of a token."""
    settings.BASE_URL = f"https://{HOST}"

    def made(token):
        session = behind(requests.Session(), live_server)
        return Salesforce(instance_url=f"https://{HOST}", session_id=token, session=session)

    return made


@pytest.fixture
def salesforce(make_salesforce, api):
    return make_salesforce(api.token)
