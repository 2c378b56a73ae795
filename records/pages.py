"""The Record explorer: objects, fields, queries and records, as far as the signed-in user sees them.

Every page asks the API's own code, so that what is granted and shared holds here as it does there.
"""

import csv
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

import msgspec
from django.conf import settings
from django.contrib import admin
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.urls import reverse
from django.utils.http import urlencode
from django.views.decorators.http import require_safe

from isthmus import clock
from isthmus.console.access import requires
from isthmus.console.registry import links_of
from isthmus.objects.describe import API_VERSION
from isthmus.objects.errors import MalformedId
from isthmus.objects.object_types import ObjectType
from isthmus.objects.record_ids import decode
from records import routing
from records.calls import Answer, Call
from records.explorer import query_texts, record_view, samples
from records.explorer.examples import examples
from records.explorer.problems import Problem, problem_of
from records.explorer.schema import Schema
from records.explorer.tables import Table, as_csv_rows, table_of

__all__ = ["MAX_QUERY_LENGTH", "PAGE_SIZE", "describe", "download", "explorer", "fields", "record"]

MAX_QUERY_LENGTH = 20_000
"""Characters. The query stands in the address of the page, and no server takes addresses of any length."""
PAGE_SIZE = 200
"""Records on a page: the least that the API gives."""

_MAX_LOCATOR = 100
_encoder = msgspec.json.Encoder(decimal_format="number")


@dataclass(frozen=True)
class Asked:
    """What the address of the page says."""

    text: str
    object_name: str
    page: str
    """The last part of the address of a further page, cut where none of ours is as long; "" for the first one."""
    with_deleted: bool
    with_plan: bool

    @classmethod
    def of(cls, request: HttpRequest) -> "Asked":
        """Return what this request asks for. Forms send line ends as two characters; here they are one."""
        given = request.GET
        text = given.get("q", "").replace("\r\n", "\n").replace("\r", "\n")
        # A field that was pressed, where no script writes it into the query.
        of_object, _, field = given.get("add", "").partition(".")
        return cls(
            text=query_texts.with_field(text, of_object, field) if field and len(text) <= MAX_QUERY_LENGTH else text,
            object_name=given.get("object", "").strip(),
            page=given.get("page", "").strip()[:_MAX_LOCATOR],
            with_deleted=given.get("deleted") == "on",
            with_plan=given.get("explain") == "on",
        )

    @property
    def is_too_long(self) -> bool:
        """Whether the query is longer than the page takes."""
        return len(self.text) > MAX_QUERY_LENGTH

    def address(self, **changed: str) -> str:
        """Return the query string of the same page with some parts changed."""
        parts = {
            "object": self.object_name,
            "q": self.text,
            "deleted": "on" if self.with_deleted else "",
            "explain": "on" if self.with_plan else "",
            **changed,
        }
        return urlencode({name: value for name, value in parts.items() if value})


@dataclass(frozen=True)
class Result:
    """What a query came to: rows, or why there are none."""

    table: Table
    problem: Problem | None = None
    status: int = 200
    next_page: str = ""
    first: int = 1
    """The number of the first row of this page."""
    milliseconds: float = 0.0

    @property
    def last(self) -> int:
        """The number of the last row of this page."""
        return self.first + len(self.table.rows) - 1


@require_safe
@requires("view")
def explorer(request: HttpRequest) -> HttpResponseBase:
    """Show the objects, the query and its result."""
    asked, schema = Asked.of(request), Schema(_user(request))
    chosen = schema.find(asked.object_name or query_texts.object_name(asked.text[:MAX_QUERY_LENGTH]))
    is_unknown = bool(asked.object_name) and chosen is None
    context: dict[str, Any] = {
        "asked": asked,
        "objects": [(one, asked.address(object=one.api_name)) for one in schema.objects],
        "chosen": chosen,
        "max_length": MAX_QUERY_LENGTH,
        "is_unknown": is_unknown,
    }
    found_examples = examples(schema, chosen)
    if chosen is not None:
        start = urlencode({"q": found_examples[0].text})
        context |= {"fields": schema.fields(chosen), "children": schema.children(chosen), "start": start}
    status = 404 if is_unknown else 200
    if asked.is_too_long:
        return render(request, "records/explorer.html", context, status=414)
    if asked.text.strip():
        result = _run(request, asked, schema)
        context |= {
            "result": result,
            "is_count": query_texts.is_count(asked.text),
            "csv_address": asked.address(page=asked.page),
            "next_address": asked.address(page=result.next_page),
            "first_address": asked.address(),
            **_samples(asked),
        }
        if asked.with_plan:
            context["plan"] = _plan(request, asked)
        status = result.status if result.problem else status
    else:
        context["examples"] = [(one, urlencode({"q": one.text})) for one in found_examples]
    return render(request, "records/explorer.html", context, status=status)


@require_safe
@requires("view")
def download(request: HttpRequest) -> HttpResponseBase:
    """Give the page of the result that the address names as CSV; show the explorer where there is none."""
    asked = Asked.of(request)
    if asked.is_too_long or not asked.text.strip():
        return explorer(request)
    result = _run(request, asked, Schema(_user(request)))
    if result.problem:
        return explorer(request)
    name = query_texts.object_name(asked.text) or "records"
    answer = HttpResponse(content_type="text/csv;charset=UTF-8")
    answer["Content-Disposition"] = f'attachment; filename="{name}.csv"'
    csv.writer(answer).writerows(as_csv_rows(result.table))
    return answer


@require_safe
@requires("view")
def record(request: HttpRequest, name: str, record_id: str) -> HttpResponse:
    """Show one record."""
    schema = Schema(_user(request))
    object_type = schema.find(name)
    body = _read(request, object_type, record_id) if object_type is not None else None
    if object_type is None or body is None:
        context = {"object_type": object_type, "name": name, "record_id": record_id}
        return render(request, "records/no_record.html", context, status=404)
    record_id = str(body["Id"])
    values = record_view.values(schema, object_type, body)
    name_field = schema.name_field(object_type)
    return render(
        request,
        "records/record.html",
        {
            "object_type": object_type,
            "record_id": record_id,
            "title": str((body.get(name_field.api_name) if name_field else "") or record_id),
            "values": values,
            "created": record_view.last_change(values, of="Created"),
            "changed": record_view.last_change(values),
            "related": [
                (one, urlencode({"q": one.text}))
                for one in record_view.related(schema, _user(request), object_type, record_id)
            ],
            "most_counted": record_view.MOST_COUNTED,
            "json": _encoder.encode(body).decode(),
            "admin_url": _admin_url(request, object_type, record_id),
            "links": [link for link in links_of(request.user, record_id) if link.url != request.path],
        },
    )


@require_safe
@requires("view")
def describe(request: HttpRequest, name: str) -> HttpResponse:
    """Give an object's description as the API does."""
    answer = _ask(request, f"sobjects/{name}/describe")
    return HttpResponse(
        _encoder.encode(answer.body), status=answer.status, content_type="application/json;charset=UTF-8"
    )


@require_safe
@requires("view")
def fields(request: HttpRequest, name: str) -> JsonResponse:
    """Give the editor what it suggests about an object."""
    schema = Schema(_user(request))
    object_type = schema.find(name)
    if object_type is None:
        return JsonResponse({"message": "There is no such object."}, status=404)
    return JsonResponse(schema.for_completion(object_type))


def _user(request: HttpRequest) -> User:
    return cast("User", request.user)


def _ask(request: HttpRequest, path: str, query: dict[str, str] | None = None) -> Answer:
    return routing.answer_or_refuse(
        Call(
            method="GET",
            path=path,
            version=API_VERSION,
            user=_user(request),
            query=query or {},
            headers={"Sforce-Query-Options": f"batchSize={PAGE_SIZE}"},
        )
    )


def _read(request: HttpRequest, object_type: ObjectType, record_id: str) -> dict[str, Any] | None:
    """Return the record as the API gives it; `None` for one that does not exist or is not seen."""
    try:
        # Not everything below an object's address is a record.
        decode(record_id)
    except MalformedId:
        return None
    answer = _ask(request, f"sobjects/{object_type}/{record_id}")
    return cast("dict[str, Any]", answer.body) if answer.succeeded else None


def _run(request: HttpRequest, asked: Asked, schema: Schema) -> Result:
    started_seconds = clock.monotonic_seconds()
    resource = "queryAll" if asked.with_deleted else "query"
    ask = partial(_ask, request)
    answer = ask(f"{resource}/{asked.page}") if asked.page else ask(resource, {"q": asked.text})
    milliseconds = (clock.monotonic_seconds() - started_seconds) * 1000
    if not answer.succeeded:
        problem = problem_of(answer.body, asked.text)
        return Result(Table((), (), 0), problem, answer.status, milliseconds=milliseconds)
    _, _, offset = asked.page.rpartition("-")
    return Result(
        table_of(answer.body, schema.object_of_id),
        next_page=answer.body.get("nextRecordsUrl", "").rpartition("/")[2],
        first=int(offset) + 1 if offset.isdecimal() else 1,
        milliseconds=milliseconds,
    )


def _plan(request: HttpRequest, asked: Asked) -> dict[str, Any]:
    answer = _ask(request, "query", {"explain": asked.text})
    if not answer.succeeded:
        return {"problem": problem_of(answer.body, asked.text)}
    return {"plans": answer.body["plans"], "json": _encoder.encode(answer.body).decode()}


def _samples(asked: Asked) -> dict[str, str]:
    made = {"base_url": settings.BASE_URL, "version": API_VERSION, "text": asked.text}
    return {
        "curl": samples.as_curl(**made, with_deleted=asked.with_deleted),
        "python": samples.as_simple_salesforce(**made, with_deleted=asked.with_deleted),
    }


def _admin_url(request: HttpRequest, object_type: ObjectType, record_id: str) -> str:
    """Return the address of the record's set-up page, "" where there is none for this user."""
    model = object_type.model
    if model is None or not _user(request).is_staff or not admin.site.is_registered(model):
        return ""
    if not admin.site.get_model_admin(model).has_view_permission(request):
        return ""
    options = model._meta
    return reverse(f"admin:{options.app_label}_{options.model_name}_change", args=[decode(record_id)[1]])
