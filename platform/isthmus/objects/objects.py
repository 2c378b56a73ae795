"""The platform's own sObjects."""

from django.contrib.auth import get_user_model
from django.contrib.auth.models import AbstractUser
from django.db import models

from isthmus.access.identity import organization_id
from isthmus.access.policy import AnyUser
from isthmus.objects.full_names import FULL_NAME
from isthmus.objects.models import Organization
from isthmus.objects.record_ids import give_id
from isthmus.objects.registry import ExposedField, expose


def _everybody_reads(user: AnyUser, action: str) -> bool:
    return action == "read" and isinstance(user, AbstractUser) and user.is_active


expose(
    get_user_model(),
    api_name="User",
    label="User",
    label_plural="Users",
    key_prefix="005",
    fields={
        "Username": "username",
        "Name": ExposedField(source=FULL_NAME, label="Full Name", computed=models.CharField(max_length=301)),
        "FirstName": "first_name",
        "LastName": "last_name",
        "Email": "email",
        "IsActive": ExposedField(source="is_active", label="Active"),
        "LastLoginDate": ExposedField(source="last_login", label="Last Login"),
        "CreatedDate": ExposedField(source="date_joined", label="Created Date"),
    },
    read_only=True,
)

give_id("00D", lambda: organization_id(length=15))
expose(
    Organization,
    api_name="Organization",
    key_prefix="00D",
    fields={
        name: ExposedField(source=source, comes_with_object=True)
        for name, source in {
            "Name": "name",
            "InstanceName": "instance_name",
            "OrganizationType": "organization_type",
            "NamespacePrefix": "namespace_prefix",
            "IsSandbox": "is_sandbox",
            "TrialExpirationDate": "trial_expiration_date",
        }.items()
    },
    read_only=True,
    access=_everybody_reads,
)
