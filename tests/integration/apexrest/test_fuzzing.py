"""The idempotency fuzzer: what is safe is told safe, and seeded faults are caught."""

import json

import pytest
from django.contrib.auth.models import User

from apexrest import context, http_post, registry, rest_resource
from apexrest.decorators import http_put
from apexrest.fuzzing import Verdict, code_digest, fuzz, keep
from apexrest.models import FuzzVerdict
from apexrest.upsert import require_saved, upsert_by_reference
from crm.models import Case
from isthmus.named_locks import try_hold
from tests.integration.apexrest.test_autodiscovery import manage

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.processes]

_taken: list[str] = []


@pytest.fixture
def seeded():
    """Endpoints with and without faults."""
    with registry.register_temporarily():

        @rest_resource("/fuzz/upsert")
        class Upsert:
            @http_post
            def create(self, reference: str) -> object:
                saved = require_saved(upsert_by_reference(context.request.user, "Case", reference, {"Subject": "x"}))
                return {"id": saved.id}

        @rest_resource("/fuzz/insert")
        class Insert:
            @http_post
            def create(self, reference: str) -> object:
                return {"id": Case.objects.create(subject=reference).record_id}

        @rest_resource("/fuzz/outside/*")
        class Outside:
            """Writes past its transaction, on a connection of its own: no key can make that safe."""

            @http_put
            def write(self, reference: str) -> object:
                from concurrent.futures import ThreadPoolExecutor

                from django.db import connection

                def make() -> None:
                    User.objects.create(username=f"{reference}-{len(User.objects.all())}")
                    connection.close()

                if connection.vendor == "postgresql":
                    with ThreadPoolExecutor(1) as pool:
                        pool.submit(make).result()
                return {"id": Case.objects.create(subject=reference).record_id}

        yield {"upsert": Upsert, "insert": Insert, "outside": Outside}


def found(**only):
    user = User.objects.create_superuser("fuzzer")
    return {finding.mapping: finding for finding in fuzz(user, **only) if finding.mapping.startswith("/fuzz/")}


def test_an_upsert_is_safe_and_an_insert_is_with_a_key(seeded):
    findings = found()
    assert findings["/fuzz/upsert"].verdict == Verdict.SAFE
    assert findings["/fuzz/insert"].verdict == Verdict.SAFE_WITH_KEY
    assert findings["/fuzz/insert"].detail == "Without a key the second request made more rows: {'crm.Case': 1}."
    for finding in findings.values():
        keep(finding)
    kept = FuzzVerdict.objects.get(mapping="/fuzz/upsert")
    resource = next(one for one in registry.all_resources() if one.mapping == "/fuzz/upsert")
    assert (kept.verdict, kept.code_digest) == ("safe", code_digest(resource))


def test_what_is_written_past_the_transaction_is_caught(seeded):
    from django.db import connection

    if connection.vendor != "postgresql":
        pytest.skip("On SQLite nobody else can write while a transaction does.")
    finding = found(only="/fuzz/outside/*")["/fuzz/outside/*"]
    assert finding.verdict == Verdict.UNSAFE
    assert "A kill before the commit left changes in auth.User" in finding.detail


def test_the_command_fuzzes_on_a_database_of_its_own(tmp_path):
    ran = manage(
        "rest_resource", "fuzz", "--json", "--no-keep", apps="examples.mortgage", path=[], data_dir=tmp_path / "data"
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    (line,) = [line for line in ran.stdout.splitlines() if line.startswith("{")]
    told = json.loads(line)
    assert (told["mapping"], told["http_method"], told["verdict"]) == ("/v1/support-requests/*", "POST", "safe")


def test_a_name_has_one_holder(seeded):
    with try_hold("a") as first, try_hold("b") as other:
        assert first
        assert other
