"""Registering a document: a new numbered version of the service, with what of it can be called."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.contrib.auth.models import AbstractUser
from django.db import transaction

from callouts.external_services import names
from callouts.external_services.analysis import Analysis, OperationDraft, Problem, analyse
from callouts.external_services.documents import Document, read
from callouts.external_services.errors import DocumentRefused
from callouts.external_services.limits import DocumentLimits
from callouts.external_services.models import ExternalService, ExternalServiceVersion, Operation
from credentials.models import NamedCredential
from isthmus.logs import get_logger

__all__ = ["RegisteredOperation", "RegistrationReport", "register"]

log = get_logger(__name__)

_ROWS_A_STATEMENT = 500


@dataclass(frozen=True, kw_only=True)
class RegisteredOperation:
    """One operation that can be called now."""

    operation_id: str
    name: str
    """How Python calls it."""
    method: str
    path: str
    callbacks: tuple[str, ...]

    @property
    def is_asynchronous(self) -> bool:
        return bool(self.callbacks)


@dataclass(frozen=True, kw_only=True)
class RegistrationReport:
    """What became of a document."""

    service: str
    version: int
    openapi_version: str
    is_changed: bool
    """False if the active version says the same already; then nothing new was registered."""
    operations: tuple[RegisteredOperation, ...]
    skipped: tuple[Problem, ...]
    """Operations that cannot be called, with place and reason."""
    problems: tuple[Problem, ...]
    """What does not keep an operation from being called."""

    def as_json(self) -> dict[str, Any]:
        """Return the report as the command line and the API show it."""
        return {
            "service": self.service,
            "version": self.version,
            "openapi": self.openapi_version,
            "changed": self.is_changed,
            "operations": [
                {
                    "operationId": operation.operation_id,
                    "name": operation.name,
                    "method": operation.method,
                    "path": operation.path,
                    "asynchronous": operation.is_asynchronous,
                    "callbacks": list(operation.callbacks),
                }
                for operation in self.operations
            ],
            "skipped": [problem.as_json() for problem in self.skipped],
            "problems": [problem.as_json() for problem in self.problems],
        }


def register(
    name: str,
    document: bytes | str,
    *,
    named_credential: NamedCredential | str | None = None,
    label: str | None = None,
    user: AbstractUser | None = None,
) -> RegistrationReport:
    """Register a document under the service `name`, which is made if it is not there.

    What works is registered, what does not is listed. The same document again makes no new version. `named_credential`
    and `label` stay as they are where they are `None`. Raises `DocumentRefused` (nothing is written),
    `ValidationError` for a malformed name and `NamedCredential.DoesNotExist`.
    """
    limits = DocumentLimits()
    parsed = read(document, limits=limits)
    analysis = analyse(parsed, limits)
    if not analysis.operations:
        raise DocumentRefused(_nothing_to_call(analysis))
    with transaction.atomic():
        service = _locked_service(name, label=label, named_credential=named_credential)
        report = _register_version(service, parsed, analysis, user)
    log.info("external_service.registered", service=name, version=report.version, changed=report.is_changed)
    return report


def _nothing_to_call(analysis: Analysis) -> str:
    if not analysis.skipped:
        return "The document has no operations."
    first = analysis.skipped[0]
    return f"None of the {len(analysis.skipped)} operations can be called; the first: {first.pointer}: {first.reason}."


def _locked_service(name: str, *, label: str | None, named_credential: NamedCredential | str | None) -> ExternalService:
    if not ExternalService.objects.filter(name=name).exists():
        made = ExternalService(name=name, label=label or name)
        made.clean_fields(exclude=["named_credential", "active_version"])
        ExternalService.objects.bulk_create([made], ignore_conflicts=True)
    service = ExternalService.objects.select_for_update().get(name=name)
    if label is not None:
        service.label = label
    if isinstance(named_credential, str):
        named_credential = NamedCredential.objects.get(name=named_credential)
    if named_credential is not None:
        service.named_credential = named_credential
    service.save(update_fields=["label", "named_credential"])
    return service


def _register_version(
    service: ExternalService, document: Document, analysis: Analysis, user: AbstractUser | None
) -> RegistrationReport:
    active = service.versions.filter(pk=service.active_version_id or 0).defer("document").first()
    if active is not None and active.digest == document.digest:
        given = dict(active.operations.values_list("operation_id", "name"))
        return _report(service, active, analysis, given, is_changed=False)
    newest = service.versions.order_by("-number").values_list("number", flat=True).first()
    version = ExternalServiceVersion.objects.create(
        service=service,
        number=(newest or 0) + 1,
        document=document.text,
        document_format=document.format,
        openapi_version=document.version,
        title=document.title[:255],
        digest=document.digest,
        problems=_problems(analysis),
        registered_by_id=user.pk if user else None,
    )
    given = _python_names(service, analysis.operations)
    Operation.objects.bulk_create(
        [_operation(version, draft, given[draft.operation_id]) for draft in analysis.operations],
        batch_size=_ROWS_A_STATEMENT,
    )
    service.active_version = version
    service.save(update_fields=["active_version"])
    return _report(service, version, analysis, given, is_changed=True)


def _problems(analysis: Analysis) -> list[dict[str, str]]:
    skipped = [{"effect": "cannot be called", **problem.as_json()} for problem in analysis.skipped]
    return skipped + [{"effect": "", **problem.as_json()} for problem in analysis.problems]


def _python_names(service: ExternalService, drafts: Sequence[OperationDraft]) -> dict[str, str]:
    """Return the name of each operation. An operation keeps the name that an earlier version gave it."""
    ids = {draft.operation_id for draft in drafts}
    earlier = Operation.objects.filter(version__service=service).order_by("version__number")
    kept = dict(earlier.values_list("operation_id", "name"))
    given = {operation_id: kept[operation_id] for operation_id in ids & kept.keys()}
    # A name that another operation once had would lead old code to the wrong one.
    taken = {*names.OPERATION_NAMES_TAKEN, *kept.values()}
    for operation_id in sorted(ids - kept.keys()):
        wanted = names.snake_case(operation_id)[:240] or "operation"
        given[operation_id] = names.allocate(wanted, taken)
        taken.add(given[operation_id])
    return given


def _operation(version: ExternalServiceVersion, draft: OperationDraft, name: str) -> Operation:
    return Operation(
        version=version,
        operation_id=draft.operation_id,
        name=name,
        method=draft.method,
        path=draft.path,
        definition=draft.definition.as_json(),
        is_asynchronous=bool(draft.callbacks),
        callbacks=[callback.as_json() for callback in draft.callbacks],
        problems=[problem.as_json() for problem in draft.problems],
    )


def _report(
    service: ExternalService,
    version: ExternalServiceVersion,
    analysis: Analysis,
    given: Mapping[str, str],
    *,
    is_changed: bool,
) -> RegistrationReport:
    return RegistrationReport(
        service=service.name,
        version=version.number,
        openapi_version=version.openapi_version,
        is_changed=is_changed,
        operations=tuple(
            RegisteredOperation(
                operation_id=draft.operation_id,
                name=given[draft.operation_id],
                method=draft.method,
                path=draft.path,
                callbacks=tuple(callback.name for callback in draft.callbacks),
            )
            for draft in analysis.operations
        ),
        skipped=analysis.skipped,
        problems=analysis.problems,
    )
