"""Registering a document: a new numbered version of the service, with what of it can be called."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import msgspec
from django.contrib.auth.models import AbstractUser
from django.db import transaction

from callouts.external_services import bulk_rows, uses
from callouts.external_services.actions.activate import activate
from callouts.external_services.description import definitions, names
from callouts.external_services.description.analysis import Analysis, OperationDraft, analyse
from callouts.external_services.description.differences import OperationDifference
from callouts.external_services.description.problems import Problem
from callouts.external_services.description.proposals import Proposal, proposals
from callouts.external_services.document.bundling import DocumentSet, bundled
from callouts.external_services.document.collection import collection_paused
from callouts.external_services.document.limits import DocumentLimits
from callouts.external_services.document.pages import paged
from callouts.external_services.document.reading import Document, read
from callouts.external_services.document.references import Content
from callouts.external_services.errors import DocumentRefused
from callouts.external_services.models import (
    DocumentPage,
    DocumentSource,
    ExternalService,
    ExternalServiceVersion,
    Operation,
)
from callouts.external_services.version_comparison import changes_between
from credentials.models import NamedCredential
from isthmus.audit import actions as audit
from isthmus.logs import get_logger

__all__ = ["Activation", "RegisteredOperation", "RegistrationReport", "register"]

log = get_logger(__name__)

Activation = Literal["unless_breaking", "always", "never"]
"""When a new version takes over: `unless_breaking` leaves the old one active where a call that was right would fail."""


@dataclass(frozen=True, kw_only=True)
class RegisteredOperation:
    """One operation that can be called now."""

    operation_id: str
    name: str
    """How Python calls it."""
    method: str
    path: str
    callbacks: tuple[str, ...]
    is_asynchronous: bool


@dataclass(frozen=True, kw_only=True)
class RegistrationReport:
    """What became of a document."""

    service: str
    version: int
    openapi_version: str
    is_changed: bool
    """False if the active version says the same already; then nothing new was registered."""
    is_active: bool
    """False if the version waits to be activated."""
    operations: tuple[RegisteredOperation, ...]
    skipped: tuple[Problem, ...]
    """Operations that cannot be called, with place and reason."""
    problems: tuple[Problem, ...]
    """What does not keep an operation from being called."""
    changes: tuple[OperationDifference, ...] = ()
    """What differs from the version that was active."""
    uses: Mapping[str, list[uses.Use]]
    """Who uses the operations that changed or are gone, by the operation's Python name."""
    proposals: tuple[Proposal, ...] = ()
    """External credentials that would fit the document's security schemes."""

    def as_json(self) -> dict[str, Any]:
        """Return the report as the command line and the API show it."""
        return {
            "service": self.service,
            "version": self.version,
            "openapi": self.openapi_version,
            "changed": self.is_changed,
            "active": self.is_active,
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
            "changes": [
                {**change.as_json(), "uses": [use.as_json() for use in self.uses.get(change.name, [])]}
                for change in self.changes
            ],
            "credentials": [proposal.as_json() for proposal in self.proposals],
        }


def register(
    name: str,
    document: bytes | str,
    *,
    documents: DocumentSet | None = None,
    named_credential: NamedCredential | str | None = None,
    label: str | None = None,
    server_path: str | None = None,
    user: AbstractUser | None = None,
    activation: Activation = "unless_breaking",
) -> RegistrationReport:
    """Register a document under the service `name`, which is made if it is not there.

    What works is registered, what does not is listed. The same document again makes no new version. `documents` is the
    set in which references to other documents are looked up; `None`: there are no others. `server_path` stands before
    every operation's path in place of what the document's server says. `named_credential`, `label` and `server_path`
    stay as they are where they are `None`. Raises `DocumentRefused` (nothing is written), `ValidationError` for a
    malformed name and `NamedCredential.DoesNotExist`.
    """
    limits = DocumentLimits()
    with collection_paused():
        parsed = read(document, limits=limits)
        if documents is not None:
            parsed = bundled(parsed, documents, limits)
        analysis = analyse(parsed, limits)
        if not analysis.operations:
            raise DocumentRefused(_nothing_to_call(analysis))
        with transaction.atomic():
            service = _locked_service(name, label=label, named_credential=named_credential, server_path=server_path)
            report = _register_version(service, parsed, analysis, user, activation)
    log.info("external_service.registered", service=name, version=report.version, changed=report.is_changed)
    return report


def _nothing_to_call(analysis: Analysis) -> str:
    if not analysis.skipped:
        return "The document has no operations."
    first = analysis.skipped[0]
    place = f"{first.pointer} (line {first.line})" if first.line else first.pointer
    return f"None of the {len(analysis.skipped)} operations can be called; the first: {place}: {first.reason}."


def _locked_service(
    name: str, *, label: str | None, named_credential: NamedCredential | str | None, server_path: str | None
) -> ExternalService:
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
    if server_path is not None:
        service.server_path = server_path
    service.save(update_fields=["label", "named_credential", "server_path"])
    return service


def _register_version(
    service: ExternalService,
    document: Document,
    analysis: Analysis,
    user: AbstractUser | None,
    activation: Activation,
) -> RegistrationReport:
    newest = service.versions.order_by("-number").first()
    active = service.versions.filter(pk=service.active_version_id or 0).first()
    same = next((found for found in (active, newest) if found and found.digest == document.digest), None)
    if same is not None:
        if activation == "always" and same != active:
            activate(service, same.number, user=user)
        return _report(service, same, analysis, _names_in(same), is_changed=False, is_active=same == active)
    version = _stored(service, (newest.number if newest else 0) + 1, document, analysis, user)
    given = _python_names(service, analysis.operations)
    _store_operations(version, analysis, given)
    changes: list[OperationDifference] = []
    if active is not None:
        changes = changes_between(active, version)
        version.changes = [change.as_json() for change in changes]
        version.save(update_fields=["changes"])
    is_breaking = any(change.is_breaking for change in changes)
    is_active = active is None or activation == "always" or (activation == "unless_breaking" and not is_breaking)
    if is_active:
        service.active_version = version
        service.save(update_fields=["active_version"])
    audit.record(
        "external_service.registered",
        actor=user,
        target=service.name,
        details={"version": version.number, "active": is_active, "digest": version.digest},
    )
    return _report(service, version, analysis, given, is_changed=True, is_active=is_active, changes=changes)


def _names_in(version: ExternalServiceVersion) -> dict[str, str]:
    return dict(version.operations.values_list("operation_id", "name"))


def _stored(
    service: ExternalService, number: int, document: Document, analysis: Analysis, user: AbstractUser | None
) -> ExternalServiceVersion:
    pages = paged(document.content)
    # Few documents have anchors, and finding them means to look everywhere.
    has_anchors = any(word in document.canonical for word in (b'"$anchor"', b'"$dynamicAnchor"', b'"$id"'))
    version = ExternalServiceVersion.objects.create(
        service=service,
        number=number,
        page_starts=[start for start, _ in pages],
        anchors=Content(document.content).anchors if has_anchors else {},
        document_format=document.format,
        openapi_version=document.version,
        title=document.title[:255],
        digest=document.digest,
        problems=_problems(analysis),
        registered_by_id=user.pk if user else None,
    )
    bulk_rows.insert(
        DocumentPage,
        ["version", "number", "pieces"],
        ((version.pk, index, pieces) for index, (_, pieces) in enumerate(pages)),
    )
    bulk_rows.insert(
        DocumentSource,
        ["version", "name", "format", "text"],
        ((version.pk, name, source.format, source.storable) for name, source in document.sources.items()),
    )
    return version


def _problems(analysis: Analysis) -> list[dict[str, object]]:
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


_COLUMNS = [
    "version", "operation_id", "name", "method", "path", "tag", "summary", "is_deprecated", "definition",
    "is_asynchronous", "callbacks", "problems",
]  # fmt: skip


def _store_operations(version: ExternalServiceVersion, analysis: Analysis, given: Mapping[str, str]) -> None:
    problems_by_operation: dict[str, list[dict[str, object]]] = {}
    for problem in analysis.problems:
        if problem.operation:
            problems_by_operation.setdefault(problem.operation, []).append(problem.as_json())
    encode = msgspec.json.encode
    bulk_rows.insert(
        Operation,
        _COLUMNS,
        (
            (
                version.pk,
                draft.operation_id,
                given[draft.operation_id],
                draft.method,
                draft.path,
                draft.tag[:255],
                draft.definition.summary,
                draft.definition.is_deprecated,
                definitions.as_json(draft.definition),
                draft.is_asynchronous,
                definitions.callbacks_as_json(draft.callbacks) if draft.callbacks else "[]",
                encode(problems_by_operation.get(draft.operation_id, [])).decode(),
            )
            for draft in analysis.operations
        ),
    )


def _report(
    service: ExternalService,
    version: ExternalServiceVersion,
    analysis: Analysis,
    given: Mapping[str, str],
    *,
    is_changed: bool,
    is_active: bool,
    changes: Sequence[OperationDifference] = (),
) -> RegistrationReport:
    touched = [change.name for change in changes if change.kind != "added"]
    return RegistrationReport(
        service=service.name,
        version=version.number,
        openapi_version=version.openapi_version,
        is_changed=is_changed,
        is_active=is_active,
        operations=tuple(
            RegisteredOperation(
                operation_id=draft.operation_id,
                name=given[draft.operation_id],
                method=draft.method,
                path=draft.path,
                callbacks=tuple(dict.fromkeys(callback.name for callback in draft.callbacks)),
                is_asynchronous=draft.is_asynchronous,
            )
            for draft in analysis.operations
        ),
        skipped=analysis.skipped,
        problems=analysis.problems,
        changes=tuple(changes),
        uses=uses.of_operations(service, touched) if touched else {},
        proposals=tuple(proposals(version)),
    )
