"""A second authorization server: our own front door, which is django-oauth-toolkit's."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from rest_framework.test import APIRequestFactory

from callouts import http
from credentials import certificate_actions, probes
from credentials.actions import create_external_credential, create_named_credential, create_principal
from credentials.errors import TokenEndpointRefused
from credentials.models import StoredToken
from isthmus import clock
from isthmus.access.actions import create_api_client
from isthmus.access.api import AccessTokenAuthentication
from tests.fault_server import FaultServer

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def ourselves(live_server):
    def make(authentication, client_id, client_secret):
        external = create_external_credential(
            "Ourselves",
            protocol="oauth_client_credentials",
            settings={
                "token_url": f"{live_server.url}/services/oauth2/token",
                "client_authentication": authentication,
            },
        )
        create_principal(external, "Robot", secrets={"client_id": client_id, "client_secret": client_secret})
        return external

    return make


@pytest.fixture
def api():
    with FaultServer() as server:
        yield server


@pytest.mark.parametrize("authentication", ["header", "body"])
def test_its_token_is_one_that_its_api_takes(ourselves, api, authentication):
    robot = User.objects.create_user("robot")
    client, secret = create_api_client("Robot", robot)
    external = ourselves(authentication, client.client_id, secret)
    create_named_credential("Api", url=api.url("/echo"), external_credential=external, allow_internal_addresses=True)
    http.get("callout:Api")
    request = APIRequestFactory().get("/", headers={"Authorization": api.requests[-1].headers["authorization"]})
    user, _ = AccessTokenAuthentication().authenticate(request)
    assert user == robot
    assert StoredToken.objects.get().expires_at is not None


def test_a_wrong_secret_is_refused_by_it(ourselves, api):
    client, _ = create_api_client("Robot", User.objects.create_user("robot"))
    external = ourselves("header", client.client_id, "wrong")
    create_named_credential("Api", url=api.url("/echo"), external_credential=external, allow_internal_addresses=True)
    with pytest.raises(TokenEndpointRefused):
        http.get("callout:Api")
    assert not probes.PRINCIPALS.ask().ok


# --- what health says -------------------------------------------------------------------------------------------------
def test_a_certificate_that_ends_soon_is_told_of(settings):
    assert probes.CERTIFICATES.ask().ok
    made = certificate_actions.generate_self_signed("Ours", days=10)
    told = probes.CERTIFICATES.ask()
    assert not told.ok
    assert f"Ours ({made.not_after:%Y-%m-%d})" in told.summary
    settings.ISTHMUS_CREDENTIALS_CERTIFICATE_WARNING_DAYS = 5
    assert probes.CERTIFICATES.ask().ok
    assert made.not_after > clock.now() + timedelta(days=9)


def test_the_certificates_page_warns():
    certificate_actions.generate_self_signed("Ours", days=10)
    client = Client()
    client.force_login(User.objects.create_superuser("root"))
    page = client.get(reverse("admin:credentials_certificate_changelist")).content.decode()
    assert "(9 days)" in page
