"""User × object grant × field grant × operation: every cell of what the write door lets through."""

import pytest
from django.contrib.auth.models import User

from crm.models import Contact
from isthmus.access.actions import assign, ensure_permission_set
from isthmus.access.errors import PermissionRefused
from isthmus.objects import catalogue
from isthmus.objects.actions import Operation, save
from isthmus.objects.describe import describe_object
from isthmus.objects.permissions import readable_fields

pytestmark = pytest.mark.django_db

# What a row of the matrix holds on the object, and which operations that gives.
OBJECT_GRANTS = {
    "nothing": ((), set()),
    "read": (("read",), {"read"}),
    "create": (("create",), {"read", "create"}),
    "edit": (("edit",), {"read", "update"}),
    "delete": (("delete",), {"read", "delete", "undelete"}),
    "create and edit": (("create", "edit"), {"read", "create", "update", "upsert"}),
    "view all": (("view_all",), {"read"}),
    "modify all": (("modify_all",), {"read", "update", "delete", "undelete"}),
    "everything": (("create", "edit", "delete"), {"read", "create", "update", "upsert", "delete", "undelete"}),
}
# What it holds on the field Email, and whether that may be read and set.
FIELD_GRANTS = {
    "no field": ((), False, False),
    "read one": ((("read", "Contact.Email"),), True, False),
    "edit one": ((("edit", "Contact.Email"),), True, True),
    "edit all": ((("edit", "Contact.*"),), True, True),
    "edit another": ((("edit", "Contact.Phone"),), False, False),
    "edit those of another object": ((("edit", "Account.*"),), False, False),
}
KINDS_OF_USERS = ("holder", "inactive", "without", "superuser")
OPERATIONS = ("create", "update", "upsert", "delete", "undelete")


def user_of(kind, object_grant, field_grant, *, reference=False):
    user = User.objects.create_user(kind, is_active=kind != "inactive", is_superuser=kind == "superuser")
    actions, _ = OBJECT_GRANTS[object_grant]
    fields, _, _ = FIELD_GRANTS[field_grant]
    grants = [("object", action, "Contact") for action in actions] + [("field", *field) for field in fields]
    if reference:
        grants.append(("field", "edit", "Contact.External_Reference__c"))
    held = ensure_permission_set("Held", "Held", grants)
    if kind in {"holder", "inactive"}:
        assign(held, user)
    return user


def attempt(user, operation, record, *, email):
    """Return what became of one row: "done", the code of its error, or "refused" as a whole."""
    values = {"LastName": "Byron", "External_Reference__c": "R-1", **({"Email": "new@example.org"} if email else {})}
    if operation == "create":
        rows = [{**values, "External_Reference__c": "R-2"}]
    elif operation == "upsert":
        rows = [values]
    elif operation == "update":
        rows = [{"Id": record.record_id, "LastName": "Byron", **({"Email": "new@example.org"} if email else {})}]
    else:
        rows = [{"Id": record.record_id}]
    field = "External_Reference__c" if operation == "upsert" else None
    try:
        result = save(user, "Contact", Operation(operation), rows, external_id_field=field)[0]
    except PermissionRefused:
        return "refused"
    return "done" if result.success else result.errors[0].code


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("field_grant", FIELD_GRANTS)
@pytest.mark.parametrize("object_grant", OBJECT_GRANTS)
@pytest.mark.parametrize("kind", KINDS_OF_USERS)
def test_every_cell(kind, object_grant, field_grant, operation):
    # An upsert by an external id that one may not see is another matter: for that user there is none.
    user = user_of(kind, object_grant, field_grant, reference=operation == "upsert")
    record = Contact.objects.create(last_name="Before", external_reference="R-1")
    if operation == "undelete":
        record.delete()
    _, allowed = OBJECT_GRANTS[object_grant]
    _, _, may_set = FIELD_GRANTS[field_grant]
    writes_fields = operation in {"create", "update", "upsert"}
    if kind == "superuser":
        wanted = "done"
    elif kind != "holder" or operation not in allowed:
        wanted = "refused"
    elif operation == "create" and field_grant != "edit all":
        # The external id is a field like others, and without a grant on it, it is not there to be set.
        wanted = "INVALID_FIELD"
    elif writes_fields and not may_set:
        # A field that one may not see is told like one that is not there.
        wanted = "INVALID_FIELD_FOR_INSERT_UPDATE" if field_grant == "read one" else "INVALID_FIELD"
    else:
        wanted = "done"
    assert attempt(user, operation, record, email=writes_fields) == wanted
    if wanted != "done":
        record.refresh_from_db()
        assert (record.last_name, record.email, record.is_deleted) == ("Before", "", operation == "undelete")
        assert Contact.all_objects.count() == 1


@pytest.mark.parametrize("field_grant", FIELD_GRANTS)
@pytest.mark.parametrize("kind", KINDS_OF_USERS)
def test_what_is_described_is_what_may_be_done(kind, field_grant):
    user = user_of(kind, "everything", field_grant)
    _, may_read, may_set = FIELD_GRANTS[field_grant]
    sees_all, has_none = kind == "superuser", kind in {"inactive", "without"}
    readable = {field.api_name for field in readable_fields(user, catalogue.get_object("Contact"))}
    assert ("Email" in readable) == (sees_all or (may_read and not has_none))
    if has_none:
        return
    described = {
        field["name"]: field for field in describe_object(catalogue.get_object("Contact"), user=user)["fields"]
    }
    assert ("Email" in described) == (sees_all or may_read)
    if "Email" in described:
        assert described["Email"]["updateable"] == (sees_all or may_set)
        assert described["Email"]["createable"] == (sees_all or may_set)
