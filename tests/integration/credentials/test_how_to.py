"""The example of the how-to works as it is printed, and may run every time."""

import os
import re
from pathlib import Path

import pytest

from credentials.models import NamedCredential, PrincipalSecret
from credentials.resolver import resolve
from isthmus.access.policy import system_user

HOW_TO = Path(__file__).parents[3] / "docs" / "how-to" / "named-credentials.md"


@pytest.mark.django_db
def test_the_example_sets_a_named_credential_up(monkeypatch):
    monkeypatch.setenv("ACME_CLIENT_SECRET", "s3cret")
    (example,) = re.findall(r"```python\n(.*?)```", HOW_TO.read_text(), flags=re.DOTALL)
    for _ in range(2):
        exec(compile(example, str(HOW_TO), "exec"), {"os": os})
    assert NamedCredential.objects.get().name == "AcmeMortgages"
    assert PrincipalSecret.objects.get(name="client_secret").value.reveal() == "s3cret"
    resolved = resolve("AcmeMortgages", system_user())
    assert resolved.url_for("/applications") == "https://api.acme.example/v1/applications"
