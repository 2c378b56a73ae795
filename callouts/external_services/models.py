"""External services, the invocations of their operations, and the inbox of what they called back.

A document becomes a numbered `ExternalServiceVersion` with one `Operation` a method and path; one version is active.
Its text is kept as it was given, and in pieces that calls read from (`callouts.external_services.document.pages`).
An `Invocation` is one asynchronous use of an operation: its row is committed before the request leaves. Every
callback that reaches us leaves a `CallbackReceipt`, whatever became of it.
"""

import json
from datetime import timedelta
from functools import cached_property

from django.conf import settings
from django.core.validators import RegexValidator
from django.db import models

from callouts import redaction
from callouts.conf import options as callout_options
from callouts.external_services.description import definitions
from callouts.external_services.description.definitions import CallbackDefinition, OperationDefinition
from callouts.external_services.document.reading import Dialect, dialect_of
from callouts.external_services.fields import JsonTextField
from callouts.external_services.querysets import InvocationQuerySet, OperationQuerySet, ReceiptQuerySet
from isthmus import causes, clock, ids
from isthmus.vault.fields import EncryptedTextField

__all__ = [
    "AnswerChecking",
    "CallbackReceipt",
    "DocumentPage",
    "DocumentSource",
    "ExternalService",
    "ExternalServiceVersion",
    "Invocation",
    "InvocationState",
    "Operation",
    "ReceiptState",
]


class AnswerChecking(models.TextChoices):
    """What becomes of an answer that does not fit the document."""

    WARN = "warn", "Warn: return it, and note what does not fit"
    FAIL = "fail", "Fail: raise AnswerInvalid"
    OFF = "off", "Do not look"


class ExternalService(models.Model):
    """An outside system whose OpenAPI document was registered."""

    name = models.CharField(
        max_length=80,
        unique=True,
        validators=[RegexValidator(r"\A[A-Za-z][A-Za-z0-9_]*\Z", "A letter, then letters, digits or underscores.")],
        help_text="Stable API name, such as AcmeMortgages.",
    )
    label = models.CharField(max_length=120, blank=True)
    named_credential = models.ForeignKey(
        "credentials.NamedCredential",
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="external_services",
        help_text="Where the service is reached, and as whom. Without one its operations cannot be called.",
    )
    answer_checking = models.CharField(
        max_length=10,
        choices=AnswerChecking.choices,
        default=AnswerChecking.WARN,
        help_text="What becomes of answers that do not fit the document.",
    )
    server_path = models.CharField(
        max_length=500,
        null=True,
        blank=True,
        help_text="What stands before every operation's path, such as /v2. Empty: the path of the document's server; a"
        " single slash: nothing.",
    )
    active_version = models.ForeignKey(
        "ExternalServiceVersion", on_delete=models.SET_NULL, null=True, blank=True, editable=False, related_name="+"
    )
    created_at = models.DateTimeField(default=clock.now, editable=False)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.label or self.name

    def path_before(self, contract: OperationDefinition) -> str:
        """Return what stands before an operation's path, without a slash at its end."""
        chosen = self.server_path or contract.server_path
        path = chosen.strip().rstrip("/")
        return path if not path or path.startswith("/") else f"/{path}"


class ExternalServiceVersion(models.Model):
    """A document as it was registered; never changed afterwards."""

    service = models.ForeignKey(ExternalService, on_delete=models.CASCADE, related_name="versions")
    number = models.PositiveIntegerField()
    page_starts = JsonTextField(default=list, help_text="The first JSON pointer of each page.")
    anchors = JsonTextField(default=dict, help_text="JSON pointers by `$anchor` and `$id`.")
    document_format = models.CharField(max_length=10, choices=[("json", "JSON"), ("yaml", "YAML")])
    openapi_version = models.CharField(max_length=20)
    title = models.CharField(max_length=255, blank=True)
    digest = models.CharField(max_length=64, help_text="SHA-256 of the document's canonical JSON.")
    problems = JsonTextField(
        default=list, help_text="What could not be registered: effect, operation, pointer, line, reason."
    )
    changes = JsonTextField(
        null=True, help_text="What differs from the version that was active before it; empty for the first."
    )
    registered_at = models.DateTimeField(default=clock.now)
    registered_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )

    class Meta:
        ordering = ["service", "-number"]
        constraints = [
            models.UniqueConstraint(fields=["service", "number"], name="external_service_version_number"),
        ]
        verbose_name = "external service version"

    def __str__(self) -> str:
        return f"{self.service.name} version {self.number}"

    @property
    def dialect(self) -> Dialect:
        """Which rules the document follows."""
        return dialect_of(self.openapi_version)


class DocumentSource(models.Model):
    """A text that a version was made of, as it was given."""

    version = models.ForeignKey(ExternalServiceVersion, on_delete=models.CASCADE, related_name="sources")
    name = models.TextField(blank=True, help_text="Within the set; empty for the document itself.")
    format = models.CharField(max_length=10)
    text = models.TextField()

    class Meta:
        ordering = ["version", "name"]
        constraints = [models.UniqueConstraint(fields=["version", "name"], name="document_source_once")]

    def __str__(self) -> str:
        return self.name or "the document"


class DocumentPage(models.Model):
    """Pieces of a version's document that stand together."""

    version = models.ForeignKey(ExternalServiceVersion, on_delete=models.CASCADE, related_name="pages")
    number = models.PositiveIntegerField()
    pieces = models.TextField(help_text="A JSON object: pieces by their JSON pointers.")

    class Meta:
        ordering = ["version", "number"]
        constraints = [models.UniqueConstraint(fields=["version", "number"], name="document_page_once")]

    def __str__(self) -> str:
        return f"page {self.number}"


class Operation(models.Model):
    """One callable operation of a version."""

    version = models.ForeignKey(ExternalServiceVersion, on_delete=models.CASCADE, related_name="operations")
    operation_id = models.CharField(max_length=255)
    name = models.CharField(max_length=255, help_text="How Python calls it; unique and stable within the service.")
    method = models.CharField(max_length=10)
    path = models.TextField()
    tag = models.CharField(max_length=255, blank=True, help_text="The document's first tag for it.")
    summary = models.TextField(blank=True)
    is_deprecated = models.BooleanField(default=False)
    definition = models.TextField(help_text="Parameters, body and answers; schemas are pointers into the document.")
    is_asynchronous = models.BooleanField(default=False)
    callbacks = models.TextField(default="[]")
    problems = JsonTextField(default=list)

    objects = OperationQuerySet.as_manager()

    class Meta:
        ordering = ["version", "name"]
        constraints = [
            models.UniqueConstraint(fields=["version", "name"], name="operation_name_once"),
            models.UniqueConstraint(fields=["version", "operation_id"], name="operation_id_once"),
        ]

    def __str__(self) -> str:
        return self.operation_id

    @cached_property
    def contract(self) -> OperationDefinition:
        """What it takes and gives."""
        return definitions.from_json(self.definition)

    @cached_property
    def callback_contracts(self) -> tuple[CallbackDefinition, ...]:
        """The addresses that it calls back."""
        return definitions.callbacks_from_json(self.callbacks)

    @property
    def grant_target(self) -> str:
        """What a permission set grants to let somebody call it."""
        return f"{self.version.service.name}.{self.name}"


class InvocationState(models.TextChoices):
    """How far an invocation is. States only move forward: Submitted, Waiting, then one of the final ones."""

    SUBMITTED = "Submitted", "Submitted"
    WAITING = "Waiting", "Waiting"
    COMPLETED = "Completed", "Completed"
    TIMED_OUT = "TimedOut", "Timed out"
    FAILED = "Failed", "Failed"
    CANCELLED = "Cancelled", "Cancelled"

    @property
    def is_final(self) -> bool:
        return self not in {InvocationState.SUBMITTED, InvocationState.WAITING}


class Invocation(models.Model):
    """One asynchronous use of an operation, from before its request leaves until its answer was handled."""

    id = models.UUIDField(primary_key=True, default=ids.new_uuid, editable=False)
    service = models.ForeignKey(ExternalService, on_delete=models.PROTECT, related_name="invocations")
    version = models.ForeignKey(ExternalServiceVersion, on_delete=models.PROTECT, related_name="invocations")
    operation = models.ForeignKey(Operation, on_delete=models.PROTECT, related_name="invocations")
    reference = models.CharField(max_length=255, blank=True, help_text="The caller's own name for this use.")
    idempotency_key = models.CharField(max_length=64, unique=True)
    callback_token = EncryptedTextField()
    callback_token_digest = models.CharField(max_length=64, unique=True, editable=False)
    handler = models.CharField(max_length=255)
    state = models.CharField(max_length=20, choices=InvocationState.choices, default=InvocationState.SUBMITTED)
    reason = models.TextField(blank=True)
    request = JsonTextField(help_text="The arguments as they were given, redacted.")
    request_digest = models.CharField(max_length=64, editable=False)
    record_id = models.CharField(max_length=64, blank=True, help_text="Id of the record that it is about.")
    attempts = models.PositiveIntegerField(default=0)
    last_sent_at = models.DateTimeField(
        null=True, editable=False, help_text="When the request last left; empty where it surely never reached anybody."
    )
    response_status = models.PositiveSmallIntegerField(null=True)
    response_headers = JsonTextField(default=dict)
    response_body = JsonTextField(null=True)
    submitted_at = models.DateTimeField(default=clock.now)
    answered_at = models.DateTimeField(null=True)
    expires_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True)
    correlation_id = models.CharField(max_length=128, db_index=True)
    cause = models.CharField(
        max_length=causes.MAX_LENGTH, blank=True, help_text="What it was submitted in, such as `operation:0198…`."
    )
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+")
    job = models.ForeignKey(
        "jobs.Job", on_delete=models.SET_NULL, null=True, related_name="+", help_text="The job that submitted it."
    )

    objects = InvocationQuerySet.as_manager()

    class Meta:
        ordering = ["-submitted_at", "id"]
        indexes = [
            models.Index(fields=["state", "expires_at"], name="invocation_state_expiry"),
            models.Index(fields=["-submitted_at", "id"], name="invocation_newest"),
            models.Index(fields=["service", "reference"], name="invocation_reference"),
            models.Index(fields=["reference"], condition=~models.Q(reference=""), name="invocation_by_reference"),
            models.Index(fields=["record_id"], condition=~models.Q(record_id=""), name="invocation_by_record"),
        ]

    def __str__(self) -> str:
        return self.reference or str(self.id)

    @property
    def shown_response(self) -> str:
        """The body of the first answer as the integration log would show it: secrets masked, capped."""
        return "" if self.response_body is None else _shown(json.dumps(self.response_body), "application/json")

    @property
    def is_finished(self) -> bool:
        """Whether nothing will change the state any more."""
        return InvocationState(self.state).is_final

    @property
    def callback_timeout(self) -> timedelta:
        """How long a callback was waited for from the start."""
        return self.expires_at - self.submitted_at


class ReceiptState(models.TextChoices):
    """What became of a callback. `received` is accepted and waits for its handler; `failed` waits for a retry."""

    RECEIVED = "received", "Received"
    PROCESSED = "processed", "Processed"
    FAILED = "failed", "Failed"
    LATE = "late", "Late"
    REPEATED = "repeated", "Repeated"
    UNKNOWN = "unknown", "Unknown"
    UNHANDLED = "unhandled", "Unhandled"
    INVALID = "invalid", "Invalid"


class CallbackReceipt(models.Model):
    """One callback that reached us, and what became of it."""

    id = models.UUIDField(primary_key=True, default=ids.new_uuid, editable=False)
    invocation = models.ForeignKey(Invocation, on_delete=models.CASCADE, null=True, related_name="receipts")
    callback_name = models.CharField(max_length=255, blank=True)
    method = models.CharField(max_length=10)
    headers = JsonTextField(default=dict, help_text="The headers that the document declares, and the content type.")
    query = models.TextField(blank=True)
    body = models.TextField(blank=True)
    body_digest = models.CharField(max_length=64, help_text="SHA-256 of method, name and body as received.")
    received_at = models.DateTimeField(default=clock.now)
    finished_at = models.DateTimeField(null=True)
    state = models.CharField(max_length=20, choices=ReceiptState.choices, default=ReceiptState.RECEIVED)
    reason = models.TextField(blank=True)
    job = models.ForeignKey(
        "jobs.Job", on_delete=models.SET_NULL, null=True, related_name="+", help_text="The job that runs the handler."
    )
    routed_at = models.DateTimeField(null=True, help_text="When somebody routed it by hand.")
    routed_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+")
    simulated_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.SET_NULL,
        null=True,
        related_name="+",
        help_text="Who made it up in the console; empty for one from outside.",
    )
    correlation_id = models.CharField(max_length=128, db_index=True)

    objects = ReceiptQuerySet.as_manager()

    class Meta:
        ordering = ["-received_at", "id"]
        indexes = [
            models.Index(fields=["invocation", "body_digest"], name="receipt_digest"),
            models.Index(fields=["state", "-received_at"], name="receipt_state_newest"),
        ]

    def __str__(self) -> str:
        return f"{self.callback_name or 'callback'} ({self.state})"

    @property
    def shown_body(self) -> str:
        """The body as the integration log would show it: secrets masked, capped."""
        return _shown(self.body, self.headers.get("Content-Type", ""))


def _shown(body: str, content_type: str) -> str:
    return redaction.body(body, content_type, at_most_bytes=callout_options.log_body_bytes)
