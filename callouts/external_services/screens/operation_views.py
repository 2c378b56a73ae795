"""The page of one operation: what it takes and gives, how it goes, and trying it."""

from collections.abc import Mapping
from typing import Any

from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_http_methods

from callouts.console import status_of as entry_status
from callouts.external_services import access
from callouts.external_services.description.definitions import BodyDefinition, MediaDefinition
from callouts.external_services.description.outlines import Line, outline, type_in_words
from callouts.external_services.document.references import Pieces
from callouts.external_services.errors import ArgumentsRefused
from callouts.external_services.loaded import document_of
from callouts.external_services.models import Operation
from callouts.external_services.screens import usage
from callouts.external_services.screens.trying import TryForm
from callouts.models import IntegrationLogEntry
from isthmus import correlation, ids
from isthmus.access import policy
from isthmus.console.access import requires
from isthmus.errors import IsthmusError

__all__ = ["operation"]

_LAST_SHOWN = 10


@require_http_methods(["GET", "HEAD", "POST"])
@requires("view")
def operation(request: HttpRequest, name: str, operation_name: str) -> HttpResponse:
    """Show one operation; make a preview of a call, or the call, of what was entered."""
    found = get_object_or_404(
        Operation.objects.active()
        .select_related("version__service__named_credential")
        .defer("version__problems", "version__changes", "version__page_starts", "version__anchors"),
        version__service__name=name,
        name=operation_name,
    )
    assert isinstance(request.user, User)  # noqa: S101 - the guard saw to it
    may_operate = policy.is_granted(request.user, "console", "operate", "*")
    may_call = access.may_call(request.user, found)
    service = found.version.service
    form = TryForm(found, request.POST if request.method == "POST" else None)
    entries = IntegrationLogEntry.objects.filter(operation=f"{service.name}.{found.operation_id}")
    context: dict[str, Any] = {
        "operation": found,
        "service": service,
        "form": form,
        "may_try": may_operate and may_call and service.named_credential is not None,
        "why_not": _why_not(may_operate=may_operate, may_call=may_call, is_connected=bool(service.named_credential)),
        **_described(found),
    }
    if request.method == "POST" and context["may_try"]:
        context.update(_tried(request, form))
    context["usage"] = usage.of_operations(service, [found.operation_id]).get(found.operation_id)
    rows = entries.defer("request_body", "response_body").order_by("-started_at")[:_LAST_SHOWN]
    context["last"] = [(entry, entry_status(entry)) for entry in rows]
    return render(request, "external_services/operation.html", context)


def _why_not(*, may_operate: bool, may_call: bool, is_connected: bool) -> str:
    if not is_connected:
        return "The service has no named credential, so nobody knows where to send a call."
    if not may_operate:
        return "Calling from here needs the grant console.operate."
    return "" if may_call else "Calling it needs the grant external_service.call on it."


def _tried(request: HttpRequest, form: TryForm) -> dict[str, Any]:
    assert isinstance(request.user, User)  # noqa: S101 - the guard saw to it
    if request.POST.get("what") == "sample":
        return {"sample": form.sample}
    if request.POST.get("what") != "send":
        try:
            return {"preview": form.preview()}
        except ArgumentsRefused as refused:
            return {"refused": refused.problems}
        except IsthmusError as error:
            return {"error": error}
    with correlation.bind(ids.new_uuid().hex):
        result = form.send(request.user)
        entry = IntegrationLogEntry.objects.filter(correlation_id=correlation.current()).order_by("-started_at").first()
    if result.problems and result.status is None:
        return {"refused": result.problems}
    return {"result": result, "entry": entry}


def _described(found: Operation) -> dict[str, Any]:
    contract, pieces = found.contract, document_of(found.version)
    return {
        "contract": contract,
        "parameters": [
            (one, type_in_words(pieces, {"$ref": f"#{one.schema}"}, one.schema) if one.schema else "anything")
            for one in contract.parameters
        ],
        "bodies": _media_lines(pieces, contract.body),
        "answers": [
            (status, answer, _lines(pieces, answer.media)) for status, answer in sorted(contract.answers.items())
        ],
        "callbacks": [
            (one, method, _media_lines(pieces, request.body))
            for one in found.callback_contracts
            for method, request in one.methods.items()
        ],
        "example": _example(found),
    }


def _media_lines(pieces: Pieces, body: BodyDefinition | None) -> list[tuple[MediaDefinition, list[Line]]]:
    if body is None:
        return []
    return [(media, outline(pieces, media.schema) if media.schema else _field_lines(media)) for media in body.media[:1]]


def _field_lines(media: MediaDefinition) -> list[Line]:
    return [
        Line(
            depth=0,
            name=one.name,
            type="file" if one.is_file else "field",
            is_required=one.required,
            description=one.description,
        )
        for one in media.fields
    ]


def _lines(pieces: Pieces, media: tuple[MediaDefinition, ...]) -> list[Line]:
    schema = next((one.schema for one in media if one.schema is not None), None)
    return outline(pieces, schema) if schema is not None else []


def _example(found: Operation) -> str:
    """Return how Python code calls it."""
    arguments: Mapping[str, str] = {
        **({"body": "{…}"} if found.contract.body else {}),
        **{one.python_name: "…" for one in found.contract.parameters if one.required},
        **({"callback": "Handler"} if found.is_asynchronous else {}),
    }
    inner = ", ".join(f"{name}={value}" for name, value in arguments.items())
    return f'external_service("{found.version.service.name}").{found.name}({inner})'
