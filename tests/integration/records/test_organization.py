"""The organisation and its users, as clients read them at login."""

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db.models import Count

from crm.models import Account
from isthmus.access.identity import organization_id, user_id
from isthmus.objects import organization, record_ids
from isthmus.objects.checks import check_organization
from isthmus.objects.models import Organization

pytestmark = pytest.mark.django_db(transaction=True)


def test_everybody_reads_the_organisation(make_caller, make_salesforce, settings):
    _, stranger = make_caller("stranger", [])
    client = make_salesforce(stranger.token)
    organization.bring_into_step()
    found = client.Organization.get(organization_id())
    assert found == {
        "attributes": {
            "type": "Organization",
            "url": f"/services/data/v59.0/sobjects/Organization/{organization_id()}",
        },
        "Id": organization_id(),
        "Name": "Isthmus",
        "InstanceName": "EXAMPLE",
        "OrganizationType": "Developer Edition",
        "NamespacePrefix": None,
        "IsSandbox": False,
        "TrialExpirationDate": None,
    } | {"InstanceName": settings.BASE_URL.split("/")[2].split(".")[0].upper()}
    assert client.Organization.get(organization_id(length=15))["Id"] == organization_id()
    [listed] = client.describe()["sobjects"]
    assert (listed["name"], listed["queryable"], listed["createable"]) == ("Organization", True, False)
    assert {one["name"] for one in client.Organization.describe()["fields"]} >= {"Id", "Name", "IsSandbox"}


@pytest.mark.parametrize("given", ["00D000000000001AAA", "00D000000000001", "00Dzzzzzzzzzzzz", "001000000000001AAA"])
def test_no_other_id_is_the_organisations(api, given):
    assert api.get(f"sobjects/Organization/{given}").status_code == 404


def test_the_organisation_is_only_read(api):
    path = f"sobjects/Organization/{organization_id()}"
    for answer in (api.patch(path, {"Name": "X"}), api.delete(path), api.post("sobjects/Organization", {"Name": "X"})):
        assert (answer.status_code, answer.json()[0]["errorCode"]) == (400, "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY")
    assert Organization.objects.get().name == "Isthmus"


def test_the_row_follows_the_settings(settings):
    organization.bring_into_step()
    assert check_organization(databases=["default"]) == []
    settings.ISTHMUS_OBJECTS_ORGANIZATION_NAME = "Acme"
    settings.BASE_URL = "http://[::1]:8000"
    assert [one.id for one in check_organization(databases=["default"])] == ["objects.W002"]
    assert check_organization(databases=None) == []
    call_command("migrate", verbosity=0)
    assert Organization.objects.values_list("name", "instance_name").get() == ("Acme", "::1")
    assert check_organization(databases=["default"]) == []


def test_its_id_is_the_one_of_the_settings(settings):
    settings.ISTHMUS_ACCESS_ORGANIZATION_ID = "00D5g00000zzzzz"
    assert record_ids.encode("00D", 1) == organization_id() == record_ids.to_18("00D5g00000zzzzz")
    assert record_ids.decode(organization_id()) == ("00D", 1)


def test_the_login_of_the_command_line_reads_the_user(make_caller):
    user, door = make_caller("ann", [("object", "read", "User"), ("field", "read", "User.*")])
    User.objects.filter(pk=user.pk).update(first_name="Ann", last_name="Archer")
    found = door.send("GET", f"/services/data/v51.0/sobjects/User/{user_id(user)}").json()
    wanted = {
        "Id": user_id(user),
        "Username": "ann",
        "Name": "Ann Archer",
        "FirstName": "Ann",
        "LastName": "Archer",
        "Email": "ann@example.org",
        "IsActive": True,
    }
    assert found.items() >= wanted.items()


def test_full_names_are_reached_by_every_kind_of_query(clerk):
    User.objects.filter(pk=clerk[0].pk).update(last_name="Clerk")
    Account.objects.create(name="A", owner=clerk[0])
    path = "owner__first_name__full_name"
    assert list(Account.objects.filter(**{f"{path}__istartswith": "cl"}).values_list(path, flat=True)) == ["Clerk"]
    assert Account.objects.values(path).annotate(number=Count("pk")).get() == {path: "Clerk", "number": 1}
    nameless = User.objects.create_user("nameless")
    names = User.objects.filter(pk__in=[clerk[0].pk, nameless.pk]).order_by("first_name__full_name")
    assert sorted(names.values_list("first_name__full_name", flat=True)) == ["Clerk", "nameless"]
