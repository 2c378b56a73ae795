"""The pages of queued callouts: what waits, what failed and why, and what to do about it."""

import json
from collections.abc import Callable
from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from callouts import redaction
from callouts.console import status_of as entry_status
from callouts.models import IntegrationLogEntry
from callouts.queue import batches as batching
from callouts.queue import decisions
from callouts.queue.console import batch_status, listed, shown_body, status_of
from callouts.queue.errors import QueueRefused
from callouts.queue.models import CalloutBatch, QueuedCallout
from callouts.queue.states import AWAITS_DECISION, BLOCKS_ORDER, NOT_ENDED, QueueState
from isthmus import clock
from isthmus.console.access import requires
from isthmus.console.filters import FilterForm
from isthmus.console.listing_views import exportable
from isthmus.console.paging import newest_first
from isthmus.errors import IsthmusError

__all__ = ["QueueFilters", "batch", "batch_act", "batches", "decide", "detail", "edit", "queue", "recover"]

OPEN, DEAD = "open", "dead"
_ATTEMPTS_SHOWN = 50


class QueueFilters(FilterForm[QueuedCallout]):
    """Filters of queued callouts."""

    state = forms.ChoiceField(
        label="State",
        required=False,
        choices=[("", "Any state"), (OPEN, "Not ended"), (DEAD, "Dead letters"), *QueueState.choices],
    )
    credential = forms.CharField(label="Named credential", required=False, max_length=80)

    def narrow(self, rows: QuerySet[QueuedCallout]) -> QuerySet[QueuedCallout]:
        """Return the callouts that every valid filter lets through."""
        rows = super().narrow(rows)
        if state := self.given("state"):
            several: dict[str, tuple[QueueState, ...]] = {OPEN: NOT_ENDED, DEAD: AWAITS_DECISION}
            rows = rows.filter(state__in=several.get(state, (state,)))
        if credential := self.given("credential"):
            rows = rows.filter(named_credential=credential)
        return rows

    def naming(self, text: str) -> Q:
        """Return what is true of the callout of this number or key, and of those of this correlation or record."""
        wanted = Q(correlation_id=text) | Q(record_id=text) | Q(idempotency_key=text)
        number = text.removeprefix("#")
        if number.isdecimal() and len(number) < 19:
            wanted |= Q(pk=int(number))
        return wanted

    def matching(self, rows: QuerySet[QueuedCallout], text: str) -> QuerySet[QueuedCallout]:
        """Return the callouts whose operation, address or reason has the text, or that carry the id."""
        wanted = Q(operation__icontains=text) | Q(url__icontains=text) | Q(reason__icontains=text)
        return rows.filter(wanted | self.naming(text))


class EditForm(forms.Form):
    """What can be changed before it is sent again."""

    url = forms.CharField(label="Address", max_length=4_000, help_text="callout:Name/path?query, the same credential.")
    headers = forms.CharField(
        required=False, widget=forms.Textarea(attrs={"rows": 4}), help_text="One a line: Name: value."
    )
    body = forms.CharField(required=False, strip=False, widget=forms.Textarea(attrs={"rows": 14}))

    def clean_headers(self) -> dict[str, str]:
        """Return the headers as a mapping."""
        found = {}
        for line in str(self.cleaned_data["headers"]).splitlines():
            name, colon, value = line.partition(":")
            if line.strip():
                if not colon:
                    raise ValidationError("A header is written as Name: value.")
                found[name.strip()] = value.strip()
        return found


def _unmasked(text: str) -> str:
    if redaction.MASK in text:
        raise QueueRefused("Replace what is masked too: what was secret before is not known here.")
    return text


class RecoverForm(forms.Form):
    """Which of the failed ones to send again."""

    since = forms.DateTimeField(
        label="Failed since (UTC)",
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M"),
    )
    credential = forms.CharField(label="Named credential", required=False, max_length=80)
    operation = forms.CharField(required=False, max_length=255)
    expected = forms.IntegerField(required=False, widget=forms.HiddenInput)


@require_safe
@requires("view")
@exportable("queued-callouts")
def queue(request: HttpRequest) -> HttpResponse:
    """List queued callouts, newest first."""
    filters = QueueFilters(request.GET)
    page = filters.page(listed(), moment="created_at", cursor=request.GET.get("cursor", ""))
    rows = [(row, status_of(row)) for row in page.rows]
    context = {"filters": filters, "page": page, "rows": rows, "tab": "list"}
    return render(request, "callout_queue/list.html", context)


@require_safe
@requires("view")
def detail(request: HttpRequest, pk: int) -> HttpResponse:
    """Show one queued callout: what it is, why it is where it is, its attempts, and what can be done."""
    row = get_object_or_404(QueuedCallout.objects.select_related("user", "edited_from", "chunk__batch"), pk=pk)
    found = IntegrationLogEntry.objects.of_queued_callout(row.pk).order_by("-started_at", "-pk")
    attempts = [(entry, entry_status(entry)) for entry in found.defer("request_body", "response_body")]
    context = {
        "row": row,
        "status": status_of(row),
        "attempts": attempts[:_ATTEMPTS_SHOWN],
        "has_more_attempts": len(attempts) > _ATTEMPTS_SHOWN,
        "headers": redaction.headers(row.headers),
        "body": shown_body(row),
        "behind": _behind(row),
        "edited_into": row.edited_into.order_by("pk").first(),
        "can_resend": row.state in {QueueState.FAILED, QueueState.STOPPED, QueueState.HELD, QueueState.DRY_RUN},
        "can_edit": row.state in {QueueState.FAILED, QueueState.STOPPED},
        "can_decide": row.state == QueueState.IN_DOUBT,
        "can_cancel": row.state in {QueueState.WAITING, QueueState.HELD, *AWAITS_DECISION},
        "is_live": row.state in NOT_ENDED,
    }
    return render(request, "callout_queue/detail.html", context)


def _behind(row: QueuedCallout) -> QueuedCallout | None:
    """Return the callout of the same order that this one waits for."""
    if not row.order_key or row.state != QueueState.WAITING:
        return None
    earlier = QueuedCallout.objects.filter(order_key=row.order_key, state__in=BLOCKS_ORDER, pk__lt=row.pk)
    return earlier.order_by("pk").first()


_DECISIONS: dict[str, tuple[Callable[..., None], str]] = {
    "resend": (decisions.resend, "It leaves again, on a fresh ladder of retries."),
    "cancel": (decisions.cancel, "It is cancelled."),
    "acted": (decisions.did_act, "It counts as succeeded: the other side acted."),
    "not-acted": (decisions.did_not_act, "It leaves again: the other side did not act."),
}


@require_POST
@requires("operate")
def decide(request: HttpRequest, pk: int, what: str) -> HttpResponse:
    """Do what an operator decided about one callout."""
    row = get_object_or_404(QueuedCallout, pk=pk)
    act, told = _DECISIONS[what]
    note = request.POST.get("note", "").strip()[:500]
    given = {} if what == "resend" else {"reason" if what == "cancel" else "note": note}
    try:
        act(row, _user(request), **given)
    except IsthmusError as refused:
        messages.error(request, refused.message)
    else:
        messages.success(request, told)
    return redirect("callout_queue:detail", pk=pk)


@require_http_methods(["GET", "HEAD", "POST"])
@requires("operate")
def edit(request: HttpRequest, pk: int) -> HttpResponse:
    """Send a failed callout with other words."""
    row = get_object_or_404(QueuedCallout, pk=pk)
    raw = bytes(row.body)
    is_text = raw.decode("utf-8", "replace").encode() == raw
    # What is secret is not shown here either: where it is left masked, it leaves as it was.
    url, masked = redaction.url(row.url), shown_body(row)
    shown = masked if redaction.MASK in masked else raw.decode("utf-8", "replace")
    headers = "\n".join(f"{name}: {value}" for name, value in row.headers.items())
    initial = {"url": url, "headers": headers, "body": shown}
    form = EditForm(request.POST if request.method == "POST" else None, initial=initial)
    if form.is_valid():
        given = form.cleaned_data
        # A browser sends every line end as CR LF.
        text = given["body"].replace("\r\n", "\n")
        is_as_before = not is_text or text == shown.replace("\r\n", "\n")
        try:
            edited = decisions.edit_and_resend(
                row,
                _user(request),
                url=row.url if given["url"] == url else _unmasked(given["url"]),
                headers=given["headers"],
                body=raw if is_as_before else _unmasked(text).encode(),
            )
        except IsthmusError as refused:
            form.add_error(None, refused.message)
        else:
            messages.success(request, f"Sent as #{edited.pk}; #{row.pk} stays as it was, cancelled.")
            return redirect("callout_queue:detail", pk=edited.pk)
    return render(request, "callout_queue/edit.html", {"row": row, "form": form, "is_text": is_text})


@require_http_methods(["GET", "HEAD", "POST"])
@requires("operate")
def recover(request: HttpRequest) -> HttpResponse:
    """Send again what failed since a moment: first how many that are, then a job that does it."""
    form = RecoverForm(request.POST if request.method == "POST" else request.GET or None)
    found = None
    if form.is_valid():
        given = form.cleaned_data
        narrowed = {"named_credential": given["credential"], "operation": given["operation"]}
        found = QueuedCallout.objects.failed_since(given["since"], **narrowed).count()
        if request.method == "POST":
            try:
                job = decisions.recover(given["since"], _user(request), expected=given["expected"], **narrowed)
            except IsthmusError as refused:
                form.add_error(None, refused.message)
            else:
                messages.success(request, "They are being sent again; abort the operation to stop.")
                return redirect("jobs:detail", job_id=job.pk)
    context = {"form": form, "found": found, "tab": "recover"}
    return render(request, "callout_queue/recover.html", context)


@require_safe
@requires("view")
@exportable("callout-batches")
def batches(request: HttpRequest) -> HttpResponse:
    """List batches, newest first."""
    page = newest_first(CalloutBatch.objects.all(), moment="created_at", cursor=request.GET.get("cursor", ""))
    progress = batching.progress_of_each(page.rows)
    rows = [(batch, batch_status(batch), progress[batch.pk]) for batch in page.rows]
    return render(request, "callout_queue/batches.html", {"page": page, "rows": rows, "tab": "batches"})


@require_safe
@requires("view")
def batch(request: HttpRequest, pk: int) -> HttpResponse:
    """Show one batch: how far it is, and which chunks and records failed."""
    found = get_object_or_404(CalloutBatch.objects.select_related("user"), pk=pk)
    progress = batching.progress_of(found)
    odd = (
        found.chunks.filter(Q(callouts__state__in=AWAITS_DECISION) | Q(failed__gt=0) | ~Q(error=""))
        .order_by("number")
        .distinct()
        .prefetch_related("callouts")
    )
    chunks = []
    for chunk in odd[:_ATTEMPTS_SHOWN]:
        callout = next(iter(chunk.callouts.all()), None)
        chunks.append((chunk, callout, status_of(callout) if callout else None, list(chunk.failures.items())[:20]))
    context: dict[str, Any] = {
        "batch": found,
        "status": batch_status(found),
        "progress": progress,
        "chunks": chunks,
        "has_more_chunks": odd.count() > _ATTEMPTS_SHOWN,
        "number_of_chunks": found.chunks.count(),
        "context": json.dumps(found.context) if found.context is not None else "",
        "can_restart": progress.failed > 0,
        "can_cancel": found.state != "cancelled" and progress.open > 0,
        "is_live": progress.open > 0 and found.state == "running",
        "now": clock.now(),
    }
    return render(request, "callout_queue/batch.html", context)


@require_POST
@requires("operate")
def batch_act(request: HttpRequest, pk: int, what: str) -> HttpResponse:
    """Restart a batch's failures, or cancel what has not left."""
    found = get_object_or_404(CalloutBatch, pk=pk)
    try:
        if what == "restart":
            number = batching.restart(found, _user(request))
            messages.success(request, f"Chunks that leave again: {number}.")
        else:
            number = batching.cancel(found, _user(request))
            messages.success(request, f"The batch is cancelled; chunks given up: {number}.")
    except IsthmusError as refused:
        messages.error(request, refused.message)
    return redirect("callout_queue:batch", pk=pk)


def _user(request: HttpRequest) -> User:
    assert isinstance(request.user, User)  # noqa: S101 - the guard saw to it
    return request.user
