"""The pages: documentation for callers, and for operators how endpoints are used, by whom, and what they answered."""

import json
import uuid
from collections.abc import Mapping
from datetime import timedelta

from django.contrib.auth.views import redirect_to_login
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render, resolve_url
from django.views.decorators.http import require_safe
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from apexrest import querysets, registry
from apexrest.admission import limits_in_force
from apexrest.conf import options
from apexrest.documentation.documents import document_of, versions
from apexrest.documentation.reading import operations
from apexrest.figures import charts_of_endpoint, charts_of_endpoints
from apexrest.fuzzing import Verdict, code_digest
from apexrest.models import FuzzVerdict
from apexrest.querysets import Usage
from apexrest.registry import Resource
from apexrest.signatures import SAFE_METHODS
from apexrest.test_writing import as_test
from callouts.console import status_of, title_of
from callouts.models import IntegrationLogEntry
from isthmus.access import api_use
from isthmus.access.api import AccessTokenAuthentication
from isthmus.access.oauth.views import no_such_resource
from isthmus.console.access import requires
from isthmus.console.listing_views import exportable
from isthmus.console.rollups import spans
from isthmus.console.tones import Status, Tone

__all__ = ["call_as_test", "document", "documentation", "endpoint", "endpoints", "openapi_document"]

_DAY, _MONTH = timedelta(hours=24), timedelta(days=30)
_SHOWN = 25
_BADGES = {
    Verdict.SAFE: Status("Safe to repeat", Tone.GOOD),
    Verdict.SAFE_WITH_KEY: Status("Safe with a key", Tone.GOOD),
    Verdict.UNSAFE: Status("Not safe to repeat", Tone.BAD),
    Verdict.NOT_TRIED: Status("Could not be tried", Tone.NEUTRAL),
}
_UNTRIED = Status("Not tried yet", Tone.NEUTRAL)
_OUTDATED = Status("Changed since it was tried", Tone.WARNING)
_READS = Status("Only reads", Tone.GOOD)


def _may_read(request: HttpRequest) -> bool:
    """Return whether the documentation is for whoever asks: a user on the pages, or a program with a token."""
    if options.public_documentation or request.user.is_authenticated:
        return True
    try:
        return AccessTokenAuthentication().authenticate(Request(request)) is not None
    except AuthenticationFailed:
        return False


@require_safe
def documentation(request: HttpRequest) -> HttpResponseBase:
    """Lead to the newest version's page; say so where there is nothing yet."""
    if not _may_read(request):
        return redirect_to_login(request.get_full_path(), resolve_url("console:login"))
    found = versions()
    if found:
        return redirect("apexrest_pages:document", version=found[0])
    return render(request, "apexrest/no_documentation.html")


@require_safe
def document(request: HttpRequest, version: str) -> HttpResponseBase:
    """Show a version's endpoints for people who call them."""
    if not _may_read(request):
        return redirect_to_login(request.get_full_path(), resolve_url("console:login"))
    found = document_of(version)
    if found is None:
        raise Http404
    verdicts = querysets.verdicts()
    shown = [(one, _badge(verdicts, _resource(one.mapping), one.method)) for one in operations(found)]
    return render(
        request,
        "apexrest/document.html",
        {"version": version, "versions": versions(), "document": found, "operations": shown},
    )


@require_safe
def openapi_document(request: HttpRequest, version: str) -> HttpResponseBase:
    """Give a version's OpenAPI document."""
    if not _may_read(request):
        body = [{"message": "Session expired or invalid", "errorCode": "INVALID_SESSION_ID"}]
        return JsonResponse(body, safe=False, status=401, headers={"WWW-Authenticate": 'Bearer realm="Isthmus"'})
    found = document_of(version)
    if found is None:
        return no_such_resource(request)
    return HttpResponse(json.dumps(found, indent=2), content_type="application/json;charset=UTF-8")


EndpointRow = tuple[Resource, str, Usage | None, Status]
"""A method of a resource, its use in the last 24 hours, and whether it is safe to repeat."""


def endpoint_rows() -> list[EndpointRow]:
    """Return the endpoints with their use in the last 24 hours."""
    api_use.flush()
    usage, verdicts = querysets.usage_by_target(_DAY), querysets.verdicts()
    return [
        (resource, method, usage.get(f"{method} {resource.mapping}"), _badge(verdicts, resource, method))
        for resource in registry.all_resources()
        for method in resource.http_methods
    ]


@require_safe
@requires("view")
@exportable("endpoints")
def endpoints(request: HttpRequest) -> HttpResponse:
    """List the endpoints with their use in the last 24 hours."""
    rows = endpoint_rows()
    span = spans.chosen(request.GET)
    return render(
        request,
        "apexrest/endpoints.html",
        {
            "rows": rows,
            "versions": versions(),
            "used": api_use.requests_in_24_hours(),
            "allowed": api_use.allowance(),
            "charts": charts_of_endpoints(span),
            "span": span,
        },
    )


@require_safe
@requires("view")
def endpoint(request: HttpRequest, mapping: str) -> HttpResponse:
    """Show one resource: use, latency, callers, limits, and the last calls."""
    resource = _resource(f"/{mapping}")
    api_use.flush()
    entries = querysets.entries_of(resource)
    usage = querysets.usage_by_target(_DAY)
    last = [(entry, title_of(entry), status_of(entry)) for entry in entries[:_SHOWN]]
    span = spans.chosen(request.GET)
    return render(
        request,
        "apexrest/endpoint.html",
        {
            "resource": resource,
            "methods": _methods(resource, usage),
            "percentiles": querysets.percentiles(entries),
            "charts": charts_of_endpoint(resource.mapping, span),
            "span": span,
            "callers": querysets.callers_of([resource], _MONTH),
            "limits": limits_in_force(resource.mapping, resource.limits),
            "last": last,
        },
    )


@require_safe
@requires("view")
def call_as_test(request: HttpRequest, entry_id: uuid.UUID) -> HttpResponse:
    """Show a recorded call as a test."""
    entry = get_object_or_404(IntegrationLogEntry, pk=entry_id, direction="inbound")
    resource = next((one for one in registry.all_resources() if entry.operation.endswith(f" {one.mapping}")), None)
    if resource is None:
        raise Http404
    return render(
        request, "apexrest/test.html", {"entry": entry, "resource": resource, "test": as_test(entry, resource)}
    )


def _resource(mapping: str) -> Resource:
    for resource in registry.all_resources():
        if resource.mapping == mapping:
            return resource
    raise Http404


def _methods(resource: Resource, usage: Mapping[str, Usage]) -> list[tuple[str, str, Usage | None, Status, str]]:
    verdicts = querysets.verdicts()
    return [
        (
            method,
            resource.endpoints[method].name,
            usage.get(f"{method} {resource.mapping}"),
            _badge(verdicts, resource, method),
            verdicts[f"{method} {resource.mapping}"].detail if f"{method} {resource.mapping}" in verdicts else "",
        )
        for method in resource.http_methods
    ]


def _badge(verdicts: Mapping[str, FuzzVerdict], resource: Resource, method: str) -> Status:
    if method in SAFE_METHODS:
        return _READS
    verdict = verdicts.get(f"{method} {resource.mapping}")
    if verdict is None:
        return _UNTRIED
    return _BADGES[Verdict(verdict.verdict)] if verdict.code_digest == code_digest(resource) else _OUTDATED
