"""The standard objects, with the fields that Salesforce's users expect under the names they know."""

from datetime import datetime
from typing import Any

from django.conf import settings
from django.contrib.auth.models import AbstractUser
from django.db import models
from django.db.models.functions import Concat, Lower, Trim
from django.utils.deconstruct import deconstructible

from isthmus import clock
from isthmus.objects.models import Record

__all__ = ["Account", "Case", "Contact", "Lead", "Opportunity", "Order"]


@deconstructible(path="crm.models.PaddedNumber")
class PaddedNumber(models.Func):
    """A number as eight digits: the form of Salesforce's auto-numbers."""

    output_field = models.CharField()

    def as_sqlite(self, compiler: Any, connection: Any, **context: Any) -> Any:
        return self.as_sql(compiler, connection, template="printf('%%%%08d', %(expressions)s)", **context)

    def as_postgresql(self, compiler: Any, connection: Any, **context: Any) -> Any:
        template = "lpad(CAST(%(expressions)s AS text), greatest(8, length(CAST(%(expressions)s AS text))), '0')"
        return self.as_sql(compiler, connection, template=template, **context)


def _auto_number(verbose_name: str) -> "models.GeneratedField":
    return models.GeneratedField(
        verbose_name=verbose_name,
        expression=PaddedNumber(models.F("id")),
        output_field=models.CharField(max_length=30),
        db_persist=True,
    )


def _full_name() -> "models.GeneratedField":
    return models.GeneratedField(
        verbose_name="full name",
        expression=Trim(Concat("first_name", models.Value(" "), "last_name")),
        output_field=models.CharField(max_length=121),
        db_persist=True,
    )


class StandardRecord(Record):
    """What the standard objects have in common: somebody owns them, and outside systems know them by a reference."""

    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    external_reference = models.CharField(
        max_length=255, blank=True, null=True, help_text="The record's name in the system it came from."
    )

    class Meta:
        abstract = True

    def stamp_creation(self, now: datetime, user: AbstractUser | None) -> None:
        super().stamp_creation(now, user)
        if self.owner_id is None and user is not None:
            self.owner_id = user.pk


class Account(StandardRecord):
    """An organisation one does business with."""

    name = models.CharField("account name", max_length=255)
    account_number = models.CharField(max_length=40, blank=True)
    parent = models.ForeignKey("self", null=True, blank=True, on_delete=models.SET_NULL, related_name="children")
    account_type = models.CharField("account type", max_length=40, blank=True)
    industry = models.CharField(max_length=40, blank=True)
    phone = models.CharField(max_length=40, blank=True)
    fax = models.CharField(max_length=40, blank=True)
    website = models.CharField(max_length=255, blank=True)
    annual_revenue = models.DecimalField(max_digits=18, decimal_places=2, null=True, blank=True)
    number_of_employees = models.IntegerField("employees", null=True, blank=True)
    billing_street = models.CharField(max_length=255, blank=True)
    billing_city = models.CharField(max_length=40, blank=True)
    billing_state = models.CharField("billing state/province", max_length=80, blank=True)
    billing_postal_code = models.CharField("billing zip/postal code", max_length=20, blank=True)
    billing_country = models.CharField(max_length=80, blank=True)
    description = models.TextField(blank=True, max_length=32_000)

    class Meta:
        indexes = [models.Index(Lower("external_reference"), name="account_external_reference")]

    def __str__(self) -> str:
        return self.name


class Contact(StandardRecord):
    """A person, usually of an account."""

    account = models.ForeignKey(Account, null=True, blank=True, on_delete=models.CASCADE, related_name="contacts")
    salutation = models.CharField(max_length=40, blank=True)
    first_name = models.CharField(max_length=40, blank=True)
    last_name = models.CharField(max_length=80)
    name = _full_name()
    title = models.CharField(max_length=128, blank=True)
    department = models.CharField(max_length=80, blank=True)
    email = models.EmailField(max_length=80, blank=True)
    phone = models.CharField(max_length=40, blank=True)
    mobile_phone = models.CharField(max_length=40, blank=True)
    birthdate = models.DateField(null=True, blank=True)
    lead_source = models.CharField(max_length=40, blank=True)
    mailing_street = models.CharField(max_length=255, blank=True)
    mailing_city = models.CharField(max_length=40, blank=True)
    mailing_state = models.CharField("mailing state/province", max_length=80, blank=True)
    mailing_postal_code = models.CharField("mailing zip/postal code", max_length=20, blank=True)
    mailing_country = models.CharField(max_length=80, blank=True)
    description = models.TextField(blank=True, max_length=32_000)

    class Meta:
        indexes = [models.Index(Lower("external_reference"), name="contact_external_reference")]

    def __str__(self) -> str:
        return f"{self.first_name} {self.last_name}".strip()


class Lead(StandardRecord):
    """A person who may become a customer."""

    salutation = models.CharField(max_length=40, blank=True)
    first_name = models.CharField(max_length=40, blank=True)
    last_name = models.CharField(max_length=80)
    name = _full_name()
    company = models.CharField(max_length=255)
    title = models.CharField(max_length=128, blank=True)
    email = models.EmailField(max_length=80, blank=True)
    phone = models.CharField(max_length=40, blank=True)
    mobile_phone = models.CharField(max_length=40, blank=True)
    website = models.CharField(max_length=255, blank=True)
    street = models.CharField(max_length=255, blank=True)
    city = models.CharField(max_length=40, blank=True)
    state = models.CharField("state/province", max_length=80, blank=True)
    postal_code = models.CharField("zip/postal code", max_length=20, blank=True)
    country = models.CharField(max_length=80, blank=True)
    status = models.CharField("lead status", max_length=40, default="Open - Not Contacted")
    rating = models.CharField(max_length=40, blank=True)
    lead_source = models.CharField(max_length=40, blank=True)
    industry = models.CharField(max_length=40, blank=True)
    annual_revenue = models.DecimalField(max_digits=18, decimal_places=2, null=True, blank=True)
    number_of_employees = models.IntegerField("employees", null=True, blank=True)
    is_converted = models.BooleanField("converted", default=False, editable=False)
    description = models.TextField(blank=True, max_length=32_000)

    class Meta:
        indexes = [models.Index(Lower("external_reference"), name="lead_external_reference")]

    def __str__(self) -> str:
        return f"{self.first_name} {self.last_name}".strip()


class Opportunity(StandardRecord):
    """A deal in the making."""

    account = models.ForeignKey(Account, null=True, blank=True, on_delete=models.CASCADE, related_name="opportunities")
    name = models.CharField("opportunity name", max_length=120)
    stage_name = models.CharField("stage", max_length=40)
    close_date = models.DateField()
    amount = models.DecimalField(max_digits=18, decimal_places=2, null=True, blank=True)
    probability = models.DecimalField("probability (%)", max_digits=3, decimal_places=0, null=True, blank=True)
    opportunity_type = models.CharField(max_length=40, blank=True)
    next_step = models.CharField(max_length=255, blank=True)
    lead_source = models.CharField(max_length=40, blank=True)
    description = models.TextField(blank=True, max_length=32_000)

    class Meta:
        verbose_name_plural = "opportunities"
        indexes = [models.Index(Lower("external_reference"), name="opportunity_external_reference")]

    def __str__(self) -> str:
        return self.name


def today() -> Any:
    """Return today's date, in UTC."""
    return clock.now().date()


class Order(StandardRecord):
    """What a customer ordered. An account that has orders cannot be deleted."""

    order_number = _auto_number("order number")
    account = models.ForeignKey(Account, null=True, blank=True, on_delete=models.PROTECT, related_name="orders")
    opportunity = models.ForeignKey(
        Opportunity, null=True, blank=True, on_delete=models.SET_NULL, related_name="orders"
    )
    bill_to_contact = models.ForeignKey(
        Contact, null=True, blank=True, on_delete=models.SET_NULL, related_name="orders_to_pay"
    )
    status = models.CharField(max_length=40, default="Draft")
    effective_date = models.DateField("order start date", default=today)
    end_date = models.DateField("order end date", null=True, blank=True)
    order_type = models.CharField(max_length=40, blank=True)
    po_number = models.CharField("PO number", max_length=80, blank=True)
    total_amount = models.DecimalField("order amount", max_digits=18, decimal_places=2, null=True, blank=True)
    billing_street = models.CharField(max_length=255, blank=True)
    billing_city = models.CharField(max_length=40, blank=True)
    billing_state = models.CharField("billing state/province", max_length=80, blank=True)
    billing_postal_code = models.CharField("billing zip/postal code", max_length=20, blank=True)
    billing_country = models.CharField(max_length=80, blank=True)
    shipping_street = models.CharField(max_length=255, blank=True)
    shipping_city = models.CharField(max_length=40, blank=True)
    shipping_state = models.CharField("shipping state/province", max_length=80, blank=True)
    shipping_postal_code = models.CharField("shipping zip/postal code", max_length=20, blank=True)
    shipping_country = models.CharField(max_length=80, blank=True)
    description = models.TextField(blank=True, max_length=32_000)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                Lower("external_reference"), condition=models.Q(is_deleted=False), name="order_external_reference_once"
            )
        ]

    def __str__(self) -> str:
        return self.order_number or "New order"


class Case(StandardRecord):
    """A question, a problem, a complaint."""

    case_number = _auto_number("case number")
    account = models.ForeignKey(Account, null=True, blank=True, on_delete=models.SET_NULL, related_name="cases")
    contact = models.ForeignKey(Contact, null=True, blank=True, on_delete=models.SET_NULL, related_name="cases")
    parent = models.ForeignKey("self", null=True, blank=True, on_delete=models.SET_NULL, related_name="children")
    subject = models.CharField(max_length=255, blank=True)
    description = models.TextField(blank=True, max_length=32_000)
    status = models.CharField(max_length=40, default="New")
    priority = models.CharField(max_length=40, default="Medium")
    origin = models.CharField("case origin", max_length=40, blank=True)
    case_type = models.CharField("case type", max_length=40, blank=True)
    reason = models.CharField("case reason", max_length=40, blank=True)
    supplied_name = models.CharField("web name", max_length=80, blank=True)
    supplied_email = models.EmailField("web email", max_length=80, blank=True)
    supplied_phone = models.CharField("web phone", max_length=40, blank=True)
    supplied_company = models.CharField("web company", max_length=80, blank=True)
    is_closed = models.GeneratedField(
        verbose_name="closed",
        expression=models.Case(
            models.When(status="Closed", then=models.Value(True)),
            default=models.Value(False),
            output_field=models.BooleanField(),
        ),
        output_field=models.BooleanField(),
        db_persist=True,
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(
                Lower("external_reference"), condition=models.Q(is_deleted=False), name="case_external_reference_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.case_number or 'New case'} {self.subject}".strip()
