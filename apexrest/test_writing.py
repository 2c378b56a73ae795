"""Writes a recorded call as a test, to be replayed against the code as it is now."""

import json
from urllib.parse import urlsplit

from apexrest.registry import Resource
from callouts.models import IntegrationLogEntry

__all__ = ["as_test"]

_SENT = ("Content-Type", "Accept", "Idempotency-Key")


def as_test(entry: IntegrationLogEntry, resource: Resource) -> str:
    """Return a test in pytest's form. What the log masked stays masked: the test has `[redacted]` where it was."""
    parts = urlsplit(entry.url)
    address = parts.path + (f"?{parts.query}" if parts.query else "")
    given = {name.title(): value for name, value in (entry.request_headers or {}).items()}
    headers = {name: given[name] for name in _SENT if name in given and name != "Content-Type"}
    name = "".join(character if character.isalnum() else "_" for character in resource.cls.__name__.lower())
    told = [
        '"""Replays a call that was recorded in the integration log."""',
        "",
        "import pytest",
        "from django.test import Client",
        "",
        "from isthmus.access.actions import issue_access_token",
        "",
        "",
        "@pytest.mark.django_db",
        f"def test_{name}_answers_{entry.status_code or 'as_before'}(django_user_model):",
        '    user = django_user_model.objects.create_superuser("caller")',
        "    answer = Client(raise_request_exception=False).generic(",
        f"        {entry.method!r},",
        f"        {address!r},",
        f"        {entry.request_body or ''!r},",
        f"        content_type={given.get('Content-Type', 'application/json')!r},",
        '        headers={"Authorization": f"Bearer {issue_access_token(user)}"'
        + "".join(f", {key!r}: {value!r}" for key, value in headers.items())
        + "},",
        "    )",
        f"    assert answer.status_code == {entry.status_code}",
    ]
    return "\n".join([*told, *_expected(entry.response_body or "")]) + "\n"


def _expected(body: str) -> list[str]:
    try:
        found = json.loads(body)
    except ValueError:
        return []
    # Ids and times differ from run to run; what the answer is made of does not.
    return [f"    assert sorted(answer.json()) == {sorted(found)!r}"] if isinstance(found, dict) else []
