"""`manage.py access_token` and `manage.py api_client`."""

import json
from io import StringIO

import pytest
from django.contrib.auth.hashers import check_password
from django.core.management import CommandError, call_command
from oauth2_provider.models import AccessToken

from isthmus.access.identity import organization_id, user_id
from isthmus.access.models import ApiClient
from isthmus.access.tokens import checksum

pytestmark = pytest.mark.django_db


def run(*arguments):
    out = StringIO()
    call_command(*arguments, stdout=out)
    return out.getvalue().strip()


def test_access_token_prints_the_token_alone(integration_user):
    text = run("access_token", "--user", "integration")
    assert AccessToken.objects.get().token_checksum == checksum(text)


def test_access_token_prints_what_clients_need_as_json(integration_user, settings):
    told = json.loads(run("access_token", "--user", "integration", "--json"))
    text = told.pop("access_token")
    assert AccessToken.objects.get().token_checksum == checksum(text)
    assert told == {
        "instance_url": settings.BASE_URL,
        "organization_id": organization_id(),
        "user_id": user_id(integration_user),
    }


def test_api_client_prints_id_and_secret(integration_user, settings):
    told = json.loads(run("api_client", "Warehouse", "--user", "integration", "--json"))
    client = ApiClient.objects.get()
    assert check_password(told.pop("client_secret"), client.client_secret)
    assert told == {
        "name": "Warehouse",
        "client_id": client.client_id,
        "instance_url": settings.BASE_URL,
        "token_url": f"{settings.BASE_URL}/services/oauth2/token",
        "user": "integration",
    }
    assert "client_secret: " in run("api_client", "Warehouse", "--user", "integration")
    assert ApiClient.objects.filter(name="Warehouse").count() == 2


@pytest.mark.parametrize("command", [["access_token"], ["api_client", "X"]])
def test_users_that_are_not_there_or_not_active_are_named(integration_user, command):
    with pytest.raises(CommandError, match="There is no user named 'nobody'"):
        run(*command, "--user", "nobody")
    integration_user.is_active = False
    integration_user.save()
    with pytest.raises(CommandError, match="integration is not active"):
        run(*command, "--user", "integration")
    assert not AccessToken.objects.exists()
    assert not ApiClient.objects.exists()
