"""The platform's own sObjects."""

from django.contrib.auth import get_user_model

from isthmus.objects.registry import ExposedField, expose

expose(
    get_user_model(),
    api_name="User",
    label="User",
    label_plural="Users",
    key_prefix="005",
    fields={
        "Username": "username",
        "FirstName": "first_name",
        "LastName": "last_name",
        "Email": "email",
        "IsActive": ExposedField(source="is_active", label="Active"),
        "LastLoginDate": ExposedField(source="last_login", label="Last Login"),
        "CreatedDate": ExposedField(source="date_joined", label="Created Date"),
    },
    read_only=True,
)
