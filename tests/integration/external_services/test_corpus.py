"""Documents of the world, as they are."""

import contextlib
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from callouts.external_services import external_service
from callouts.external_services.actions import register
from callouts.external_services.models import ExternalService, Operation
from callouts.external_services.typed_client import module_for
from tests.peers.corpus import CORPUS, require_corpus, require_swagger, sample, swagger_sample

ROOT = Path(__file__).parents[3]


@pytest.fixture(autouse=True)
def corpus():
    require_corpus()


def test_a_sample_can_be_registered_and_called(capsys):
    call_command("external_service", "check", "--json", *map(str, sample()))
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert len(lines) >= 75
    assert [line["file"] for line in lines if line["error"]] == []
    assert max(line["seconds"] for line in lines) < 10
    operations, can_be_called = (sum(line[key] for line in lines) for key in ("operations", "callable"))
    assert operations > 5_000
    assert can_be_called >= 0.99 * operations


def test_a_sample_of_swagger_documents_broken_ones_among_them(capsys):
    require_swagger()
    with contextlib.suppress(CommandError):
        call_command("external_service", "check", "--json", *map(str, swagger_sample()))
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines() if line.startswith("{")]
    assert len(lines) > 80
    # Whatever is refused is refused with a code.
    assert all(re.match(r"[A-Z_]+: ", line["error"]) for line in lines if line["error"])
    assert sum(line["error"] is None for line in lines) >= 0.95 * len(lines)
    operations, can_be_called = (sum(line[key] for line in lines) for key in ("operations", "callable"))
    assert can_be_called >= 0.99 * operations > 500


@pytest.mark.django_db
def test_a_large_document_is_registered_and_its_first_call_reads_little(
    bank_door, callout_mock, django_assert_max_num_queries
):
    text = (CORPUS / "kubernetes.io.json").read_bytes()
    report = register("Kubernetes", text, named_credential=bank_door)
    assert (len(report.operations), report.skipped) == (845, ())
    service = ExternalService.objects.get()
    assert service.active_version.pages.count() > 50
    url = "callout:Acme_Bank/api/v1/namespaces/default/pods"
    callout_mock.post(url, status=201, json={"kind": "Pod"})
    kubernetes = external_service("Kubernetes")
    with django_assert_max_num_queries(40):
        answer = kubernetes.create_core_v1_namespaced_pod(
            namespace="default", body={"kind": "Pod", "spec": {"containers": [{"name": "a"}]}}
        )
    assert answer.code201.kind == "Pod"


def assert_formatted_and_typed(source, path):
    path.write_text(source)
    python = [sys.executable, "-m"]
    config = ["--config", str(ROOT / "pyproject.toml")]
    ruff = subprocess.run([*python, "ruff", "format", "--diff", *config, str(path)], capture_output=True, text=True)
    assert ruff.returncode == 0, ruff.stdout[:2000] + ruff.stderr[:500]
    mypy = subprocess.run(
        [*python, "mypy", "--strict", "--config-file", str(ROOT / "pyproject.toml"), "--follow-imports", "silent",
         "--cache-dir", str(path.parent / "cache"), str(path)],
        capture_output=True, text=True, cwd=ROOT,
    )  # fmt: skip
    assert mypy.returncode == 0, mypy.stdout[-3000:]


@pytest.mark.django_db
@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", ["stripe.com.json"])
def test_a_client_of_a_large_real_api_is_formatted_and_typed(name, tmp_path):
    register("Real", (CORPUS / name).read_bytes())
    source = module_for(ExternalService.objects.get().active_version)
    assert source.count("\n    def ") == Operation.objects.count() > 400
    assert len(re.findall(r"^class ", source, re.MULTILINE)) > 1_000
    assert_formatted_and_typed(source, tmp_path / "real.py")
