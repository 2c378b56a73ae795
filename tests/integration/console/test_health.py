"""What machines ask: /healthz, /readyz, /metrics."""

import pytest
from django.test import override_settings
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.parser import text_string_to_metric_families

from isthmus import health
from isthmus.console import registry
from isthmus.health import Health, Probe
from tests import console_samples as samples


@pytest.fixture
def no_probes():
    """Only the probes of the test."""
    before = dict(health._probes)
    health._probes.clear()
    yield
    health._probes.clear()
    health._probes.update(before)


def probe(name, ok, *, required=True, age=None):
    answer = Health(ok=ok, summary=f"{name} is so.", age_seconds=age)
    return Probe(name=name, label=name.title(), ask=lambda: answer, required=required)


def test_healthz_says_that_the_process_is_alive_and_asks_nobody(client, db, django_assert_num_queries):
    with django_assert_num_queries(0):
        answer = client.get("/healthz")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


@pytest.mark.usefixtures("no_probes", "db")
class TestReadiness:
    def test_ready_when_every_required_part_is_well(self, client):
        with (
            health.register_temporarily(probe("worker", True, age=1.5)),
            health.register_temporarily(probe("queue", False, required=False)),
        ):
            answer = client.get("/readyz")
        assert answer.status_code == 200
        assert answer.json() == {
            "status": "ready",
            "probes": [
                {"name": "worker", "ok": True, "required": True, "summary": "worker is so.", "age_seconds": 1.5},
                {"name": "queue", "ok": False, "required": False, "summary": "queue is so.", "age_seconds": None},
            ],
        }

    def test_not_ready_when_a_required_part_is_unwell(self, client):
        with health.register_temporarily(probe("worker", False)):
            answer = client.get("/readyz")
        assert (answer.status_code, answer.json()["status"]) == (503, "not ready")

    def test_home_names_the_part_and_what_to_do(self, watcher):
        with health.register_temporarily(probe("worker", False)):
            text = watcher.get("/").content.decode()
        assert "1 part needs a look" in text
        assert "The instance is not ready" in text
        assert "worker is so." in text


def measured(client, **headers):
    answer = client.get("/metrics", headers=headers)
    assert answer.status_code == 200
    assert answer.headers["Content-Type"].startswith("text/plain")
    return {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(answer.content.decode())
        for sample in family.samples
    }


def test_metrics_count_jobs_callouts_waiting_events_and_probes(client, db):
    samples.make_everything()
    found = measured(client)
    assert found["isthmus_jobs", ("state", "Failed")] == 1
    assert found["isthmus_jobs", ("state", "Queued")] == 0
    assert (
        found["isthmus_integration_log_entries", ("direction", "outbound"), ("outcome", "succeeded")],
        found["isthmus_integration_log_entries", ("direction", "outbound"), ("outcome", "in_doubt")],
    ) == (2, 0)
    assert found["isthmus_invocations", ("state", "Waiting")] == 1
    assert found["isthmus_callback_receipts", ("state", "processed")] == 1
    assert found["isthmus_outbox_depth", ("table", "events")] == 1
    assert found["isthmus_probe_ok", ("probe", "database")] == 1
    assert found[("isthmus_metrics_sources_failed",)] == 0


def test_a_source_that_fails_hides_no_other(client, db):
    def broken():
        yield GaugeMetricFamily("isthmus_half", "Half a source.", value=1)
        raise RuntimeError

    with registry.register_metrics_temporarily(broken):
        found = measured(client)
    assert found[("isthmus_metrics_sources_failed",)] == 1
    assert ("isthmus_half",) not in found
    assert ("isthmus_jobs", ("state", "Failed")) in found


@override_settings(ISTHMUS_CONSOLE_METRICS_TOKEN="scrape-me")
def test_metrics_can_ask_for_a_token(client, db):
    assert client.get("/metrics").status_code == 401
    assert client.get("/metrics", headers={"Authorization": "Bearer wrong"}).status_code == 401
    assert measured(client, Authorization="Bearer scrape-me")


@pytest.mark.parametrize("address", ["/healthz", "/readyz", "/metrics"])
def test_machines_only_read(client, db, address):
    assert client.post(address).status_code == 405
    assert client.head(address).content == b""
