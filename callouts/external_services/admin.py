"""External services in the set-up pages: documents are registered, versions and invocations are read."""

from collections.abc import Mapping
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.core.files.uploadedfile import UploadedFile
from django.db.models import QuerySet
from django.forms import ModelForm
from django.http import HttpRequest
from unfold.admin import ModelAdmin
from unfold.widgets import (
    UnfoldAdminFileFieldWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
)

from callouts.external_services.actions import RegistrationReport, cancel, register
from callouts.external_services.conf import options
from callouts.external_services.description.analysis import analyse
from callouts.external_services.document.bundling import Archive, DocumentSet, bundled
from callouts.external_services.document.fetching import fetch, fetched_set
from callouts.external_services.document.limits import DocumentLimits
from callouts.external_services.document.reading import read
from callouts.external_services.errors import DocumentTooLarge, ExternalServiceError
from callouts.external_services.models import (
    CallbackReceipt,
    ExternalService,
    ExternalServiceVersion,
    Invocation,
    Operation,
)
from isthmus.access.errors import PermissionRefused
from isthmus.errors import IsthmusError

__all__ = ["ExternalServiceAdmin", "ExternalServiceVersionAdmin", "InvocationAdmin", "OperationAdmin", "ReceiptAdmin"]


class ExternalServiceForm(ModelForm):  # type: ignore[type-arg]  # Django's forms take no argument at run time
    """A service with the document that makes its next version: a file, a text, or an address."""

    document = forms.FileField(
        required=False,
        widget=UnfoldAdminFileFieldWidget,
        help_text="OpenAPI 2.0, 3.0 or 3.1, as JSON or YAML, or a ZIP archive of documents that refer to each other."
        " If it differs from the active one, it makes a new version.",
    )
    pasted = forms.CharField(
        required=False, strip=False, widget=UnfoldAdminTextareaWidget, help_text="Or the document's text, pasted."
    )
    address = forms.CharField(
        required=False,
        max_length=2000,
        widget=UnfoldAdminTextInputWidget,
        help_text="Or where it is: callout:NamedCredential/path, or an http(s) address, which is asked without"
        " credentials.",
    )
    activation = forms.ChoiceField(
        required=False,
        widget=UnfoldAdminSelectWidget,
        choices=[
            ("unless_breaking", "Activate it unless it breaks calls"),
            ("always", "Activate it in any case"),
            ("never", "Only register it"),
        ],
    )

    class Meta:
        model = ExternalService
        fields = ["name", "label", "named_credential", "server_path", "answer_checking"]

    def clean(self) -> dict[str, Any]:
        """Register nothing yet, but refuse what cannot be registered."""
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        given = [name for name in ("document", "pasted", "address") if cleaned.get(name)]
        if not given and self.instance.pk is None:
            self.add_error("document", "A service begins with its document.")
        if len(given) > 1:
            self.add_error(given[1], "Give the document once: as a file, as a text, or by its address.")
        if len(given) != 1 or self.errors:
            return cleaned
        try:
            content, documents = _given(cleaned, given[0])
            limits = DocumentLimits()
            parsed = read(content, limits=limits)
            analysis = analyse(bundled(parsed, documents, limits) if documents else parsed, limits)
        except IsthmusError as refused:
            self.add_error(given[0], refused.message)
            return cleaned
        if not analysis.operations:
            self.add_error(given[0], "None of the document's operations can be called.")
        cleaned["content"], cleaned["documents"] = content, documents
        return cleaned


def _given(cleaned: Mapping[str, Any], name: str) -> tuple[bytes | str, DocumentSet | None]:
    """Return the document that was given, and the set that it belongs to."""
    if name == "pasted":
        return str(cleaned["pasted"]), None
    if name == "address":
        address = str(cleaned["address"]).strip()
        documents = fetched_set(address) if address.startswith("callout:") else None
        return fetch(address, named_credential=cleaned.get("named_credential")), documents
    given: UploadedFile[bytes] = cleaned["document"]
    if (given.size or 0) > options.document_max_bytes:
        raise DocumentTooLarge(f"A document has at most {options.document_max_bytes} bytes.")
    content = given.read()
    if not content.startswith(b"PK"):
        return content, None
    archive = Archive(content)
    return archive.read(archive.name) or b"", archive


class ReadOnlyAdmin(ModelAdmin):
    """What is to be read, never to be changed here."""

    show_full_result_count = False

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(ExternalService)
class ExternalServiceAdmin(ModelAdmin):
    """Registers documents through the same action as the command line."""

    form = ExternalServiceForm
    list_display = ["name", "label", "named_credential", "active_version"]
    list_select_related = ["named_credential"]
    search_fields = ["name", "label"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[ExternalService]:
        found: QuerySet[ExternalService] = super().get_queryset(request)
        return found.select_related("active_version__service").defer(
            "active_version__page_starts", "active_version__anchors"
        )

    def get_readonly_fields(self, request: HttpRequest, obj: ExternalService | None = None) -> tuple[str, ...]:
        return ("name",) if obj else ()

    def has_delete_permission(self, request: HttpRequest, obj: ExternalService | None = None) -> bool:
        return bool(super().has_delete_permission(request, obj)) and not (obj and obj.invocations.exists())

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        given = form.cleaned_data.get("content")
        if given is None:
            super().save_model(request, obj, form, change)
            return
        if change:
            super().save_model(request, obj, form, change)
        report = register(
            obj.name,
            given,
            documents=form.cleaned_data.get("documents"),
            named_credential=obj.named_credential,
            label=obj.label or None,
            user=request.user if request.user.is_authenticated else None,
            activation=form.cleaned_data.get("activation") or "unless_breaking",
        )
        registered = ExternalService.objects.get(name=obj.name)
        obj.pk, obj.active_version_id = registered.pk, registered.active_version_id
        if not change:
            ExternalService.objects.filter(pk=obj.pk).update(
                answer_checking=obj.answer_checking, server_path=obj.server_path
            )
        self._tell(request, report)

    def _tell(self, request: HttpRequest, report: RegistrationReport) -> None:
        if not report.is_changed:
            messages.info(request, f"Version {report.version} says the same already.")
            return
        messages.success(request, f"Version {report.version}: {len(report.operations)} operations can be called.")
        if not report.is_active:
            told = "It waits to be activated: see it under External services in the console."
            messages.warning(request, f"Version {report.version} is not active. {told}")
        for problem in (*report.skipped, *report.problems)[:20]:
            place = f"{problem.pointer or '/'}{f', line {problem.line}' if problem.line else ''}"
            messages.warning(request, f"{problem.operation or 'Document'}, {place}: {problem.reason}.")


@admin.register(ExternalServiceVersion)
class ExternalServiceVersionAdmin(ReadOnlyAdmin):
    """Documents as they were registered."""

    list_display = [
        "service",
        "number",
        "title",
        "openapi_version",
        "document_format",
        "registered_at",
        "registered_by",
    ]
    list_filter = ["service"]
    list_select_related = ["service", "registered_by"]
    exclude = ["page_starts", "anchors"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[ExternalServiceVersion]:
        found: QuerySet[ExternalServiceVersion] = super().get_queryset(request)
        return found.defer("page_starts", "anchors")


@admin.register(Operation)
class OperationAdmin(ReadOnlyAdmin):
    """What can be called."""

    list_display = ["operation_id", "name", "method", "path", "is_asynchronous", "version"]
    list_filter = ["is_asynchronous", "version__service"]
    search_fields = ["operation_id", "name", "path"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Operation]:
        found: QuerySet[Operation] = super().get_queryset(request)
        return found.select_related("version__service").defer("version__page_starts", "version__anchors")


@admin.register(Invocation)
class InvocationAdmin(ReadOnlyAdmin):
    """Asynchronous calls; those that wait can be cancelled."""

    list_display = ["submitted_at", "service", "operation", "reference", "state", "response_status", "expires_at"]
    list_filter = ["state", "service"]
    list_select_related = ["service", "operation"]
    search_fields = ["=reference", "=correlation_id", "=record_id"]
    date_hierarchy = "submitted_at"
    exclude = ["callback_token", "callback_token_digest", "request_digest", "response_body", "response_headers"]
    readonly_fields = ["shown_response"]
    actions = ["cancel_chosen"]

    @admin.action(description="Cancel", permissions=["view"])
    def cancel_chosen(self, request: HttpRequest, chosen: QuerySet[Invocation]) -> None:
        """End the wait of the chosen invocations."""
        if not request.user.is_authenticated:
            raise PermissionDenied
        cancelled = 0
        for invocation in chosen:
            try:
                cancel(invocation, request.user)
            except (ExternalServiceError, PermissionRefused) as refused:
                messages.error(request, f"{invocation}: {refused.message}")
            else:
                cancelled += 1
        if cancelled:
            messages.success(request, f"{cancelled} cancelled.")


@admin.register(CallbackReceipt)
class ReceiptAdmin(ReadOnlyAdmin):
    """The inbox."""

    list_display = ["received_at", "callback_name", "invocation", "method", "state", "reason"]
    list_filter = ["state"]
    list_select_related = ["invocation"]
    search_fields = ["=correlation_id", "callback_name"]
    date_hierarchy = "received_at"
    exclude = ["body"]
    readonly_fields = ["shown_body"]
