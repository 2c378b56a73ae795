"""What the mortgage desk keeps: its requests, and what its subscribers saw."""

from django.db import models

from crm.models import Lead
from isthmus.objects.models import Record

__all__ = ["ContactSighting", "DecisionNote", "MortgageRequest"]


class MortgageRequest(Record):
    """A lead's wish for a mortgage, on its way to the bank and back."""

    class Status(models.TextChoices):
        NEW = "New"
        SUBMITTED = "Submitted"
        APPROVED = "Approved"
        REJECTED = "Rejected"
        ERROR = "Error"
        TIMED_OUT = "Timed Out"

    lead = models.ForeignKey(Lead, on_delete=models.CASCADE, related_name="mortgage_requests")
    external_reference = models.CharField(max_length=80, unique=True)
    requested_amount = models.DecimalField(max_digits=14, decimal_places=2)
    monthly_income = models.DecimalField(max_digits=14, decimal_places=2)
    status = models.CharField(max_length=20, choices=Status.choices, default=Status.NEW)
    application_number = models.CharField(max_length=40, blank=True)
    approved_amount = models.DecimalField(max_digits=14, decimal_places=2, null=True, blank=True)
    reason = models.CharField(max_length=255, blank=True)
    invocation_id = models.UUIDField(null=True, blank=True)

    class Meta:
        verbose_name = "mortgage request"

    def __str__(self) -> str:
        return f"{self.external_reference}: {self.status}"


class DecisionNote(models.Model):
    """A platform event that the decision subscriber saw. Unique by event, so that seeing one twice would show."""

    event_uuid = models.UUIDField(unique=True)
    replay_id = models.BigIntegerField()
    application_number = models.CharField(max_length=40)
    outcome = models.CharField(max_length=20)
    amount = models.DecimalField(max_digits=14, decimal_places=2, null=True)
    correlation_id = models.CharField(max_length=128)

    def __str__(self) -> str:
        return f"{self.application_number}: {self.outcome}"


class ContactSighting(models.Model):
    """A change event that the contact subscriber saw."""

    event_uuid = models.UUIDField()
    replay_id = models.BigIntegerField()
    record_id = models.CharField(max_length=18, db_index=True)
    change_type = models.CharField(max_length=20)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["event_uuid", "record_id"], name="contact_seen_once_an_event")]

    def __str__(self) -> str:
        return f"{self.change_type} {self.record_id}"
