"""What machines ask: is the process alive, is the instance ready, and its numbers."""

import hmac
from collections.abc import Iterable, Iterator

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils.encoding import force_bytes
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.registry import Collector

from isthmus import health
from isthmus.console import registry
from isthmus.console.conf import options
from isthmus.logs import get_logger

__all__ = ["healthz", "metrics", "readyz"]

log = get_logger(__name__)


@require_safe
@never_cache
def healthz(_request: HttpRequest) -> HttpResponse:
    """Answer that the process is alive; it asks nobody else, so that a broken part never restarts a healthy process."""
    return JsonResponse({"status": "ok"})


@require_safe
@never_cache
def readyz(_request: HttpRequest) -> HttpResponse:
    """Answer 200 when every required part is well, else 503; the list says how each part is."""
    found = health.probe_all()
    parts = [
        {
            "name": probe.name,
            "ok": state.ok,
            "required": probe.required,
            "summary": state.summary,
            "age_seconds": state.age_seconds,
        }
        for probe, state in found
    ]
    is_ready = all(state.ok for probe, state in found if probe.required)
    body = {"status": "ready" if is_ready else "not ready", "probes": parts}
    return JsonResponse(body, status=200 if is_ready else 503)


@require_safe
@never_cache
def metrics(request: HttpRequest) -> HttpResponse:
    """Answer the numbers of every app in Prometheus' text format.

    https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format
    """
    if options.metrics_token and not _knows_the_token(request):
        return HttpResponse(
            "This page asks for a bearer token.\n", status=401, content_type="text/plain; charset=utf-8"
        )
    scrape = CollectorRegistry(auto_describe=False)
    scrape.register(_Scrape())
    return HttpResponse(generate_latest(scrape), content_type=CONTENT_TYPE_PLAIN_0_0_4)


def _knows_the_token(request: HttpRequest) -> bool:
    given = request.headers.get("Authorization", "").removeprefix("Bearer ")
    return hmac.compare_digest(force_bytes(given), force_bytes(options.metrics_token))


class _Scrape(Collector):
    """Everything that is measured, read once."""

    def collect(self) -> Iterable[Metric]:
        yield from _probe_metrics()
        failures = 0
        for source in registry.metric_sources():
            try:
                yield from list(source())
            except Exception as error:  # noqa: BLE001 - the outermost edge: one broken source must not hide the others
                failures += 1
                log.warning("metrics.source_failed", error=type(error).__name__)
        failed = GaugeMetricFamily("isthmus_metrics_sources_failed", "Apps whose metrics could not be read.")
        failed.add_metric([], failures)
        yield failed


def _probe_metrics() -> Iterator[Metric]:
    ok = GaugeMetricFamily("isthmus_probe_ok", "Whether a part is well (1) or not (0).", labels=["probe"])
    age = GaugeMetricFamily(
        "isthmus_probe_age_seconds", "Age of what a part is judged by (heartbeat, oldest work).", labels=["probe"]
    )
    for probe, state in health.probe_all():
        ok.add_metric([probe.name], float(state.ok))
        if state.age_seconds is not None:
            age.add_metric([probe.name], state.age_seconds)
    yield ok
    yield age
