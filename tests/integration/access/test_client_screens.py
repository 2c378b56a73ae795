"""API clients in the admin: a secret is shown once, tokens never."""

import re

import pytest
from django.contrib import admin
from django.contrib.auth.hashers import check_password
from django.contrib.auth.models import Permission, User
from django.test import Client
from oauth2_provider.models import AccessToken, Grant, IDToken, RefreshToken

from isthmus import clock
from isthmus.access.actions import create_api_client
from isthmus.access.models import ApiClient, ApiUse, Approval
from isthmus.access.tokens import issue

pytestmark = pytest.mark.django_db
ADD = "/admin/access/apiclient/add/"


@pytest.fixture
def operator(client):
    """Staff who may set up API clients, not a superuser."""
    user = User.objects.create_user("operator", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(content_type__app_label="access"))
    client.force_login(user)
    return client


def change(api_client):
    return f"/admin/access/apiclient/{api_client.pk}/change/"


def shown_secret(answer):
    found = re.search(r'id="client-secret">([^<]+)<', answer.content.decode())
    return found and found[1]


def test_the_secret_is_shown_once_when_the_client_is_made(admin_client, integration_user):
    answer = admin_client.post(ADD, {"name": "Warehouse", "user": integration_user.pk})
    assert answer.status_code == 200
    secret = shown_secret(answer)
    made = ApiClient.objects.get()
    assert (made.name, made.user) == ("Warehouse", integration_user)
    assert check_password(secret, made.client_secret)
    assert "no-store" in answer["Cache-Control"]
    for address in (change(made), "/admin/access/apiclient/", "/admin/"):
        page = admin_client.get(address)
        assert page.status_code == 200
        assert secret not in page.content.decode()
        assert made.client_secret not in page.content.decode()


def test_a_new_secret_is_shown_once_too(admin_client, integration_user):
    made, old = create_api_client("Warehouse", integration_user)
    issue(integration_user)
    AccessToken.objects.update(application=made)
    form = {"name": "Warehouse", "user": integration_user.pk, "access_apiclient_replace_secret": "1"}
    answer = admin_client.post(change(made), form)
    made.refresh_from_db()
    assert check_password(shown_secret(answer), made.client_secret)
    assert not check_password(old, made.client_secret)
    assert not AccessToken.objects.exists()


def test_saving_a_client_keeps_its_secret(admin_client, integration_user):
    made, secret = create_api_client("Warehouse", integration_user)
    answer = admin_client.post(change(made), {"name": "Depot", "user": integration_user.pk})
    assert answer.status_code == 302
    made.refresh_from_db()
    assert made.name == "Depot"
    assert check_password(secret, made.client_secret)


def test_another_user_or_one_press_voids_the_tokens(admin_client, integration_user):
    made, _ = create_api_client("Warehouse", integration_user)
    other = User.objects.create_user("other")
    issue(integration_user)
    AccessToken.objects.update(application=made)
    admin_client.post(change(made), {"name": "Warehouse", "user": other.pk})
    made.refresh_from_db()
    assert made.user == other
    assert not AccessToken.objects.exists()

    issue(other)
    AccessToken.objects.update(application=made)
    form = {"name": "Warehouse", "user": other.pk, "access_apiclient_revoke_everything": "1"}
    assert "1 token revoked" in admin_client.post(change(made), form, follow=True).content.decode()
    assert not AccessToken.objects.exists()


def test_staff_cannot_make_a_client_that_may_do_more_than_they(operator, admin_user):
    answer = operator.post(ADD, {"name": "Sneaky", "user": admin_user.pk})
    assert "Only a superuser may set up a client that runs as a superuser." in answer.content.decode()
    assert not ApiClient.objects.exists()


def test_staff_cannot_take_over_a_superusers_client(operator, admin_user, integration_user):
    made, secret = create_api_client("Root", admin_user)
    form = {"name": "Root", "user": integration_user.pk, "access_apiclient_replace_secret": "1"}
    answer = operator.post(change(made), form)
    assert shown_secret(answer) is None
    made.refresh_from_db()
    assert made.user == admin_user
    assert check_password(secret, made.client_secret)


@pytest.mark.parametrize("why", ["inactive", "nobody"])
def test_a_client_needs_an_active_user(admin_client, integration_user, why):
    User.objects.filter(pk=integration_user.pk).update(is_active=False)
    answer = admin_client.post(ADD, {"name": "X", "user": integration_user.pk if why == "inactive" else ""})
    assert answer.status_code == 200
    assert shown_secret(answer) is None
    assert not ApiClient.objects.exists()


@pytest.mark.parametrize("model", [AccessToken, RefreshToken, Grant, IDToken])
def test_tokens_have_no_screens(model):
    assert not admin.site.is_registered(model)


APP = {
    "name": "Desk",
    "client_type": "confidential",
    "flows": ["authorization_code"],
    "scopes": ["api", "refresh_token"],
    "redirect_uris": "http://localhost:1717/OauthRedirect\nhttps://desk.example/back",
}


def test_a_client_for_people_needs_no_user(admin_client):
    assert shown_secret(admin_client.post(ADD, APP))
    made = ApiClient.objects.get()
    assert (made.user, made.flows, made.scopes) == (None, "authorization_code", "api refresh_token")
    assert made.redirect_uris.split() == ["http://localhost:1717/OauthRedirect", "https://desk.example/back"]


def test_a_public_client_has_no_secret(admin_client):
    answer = admin_client.post(ADD, {**APP, "client_type": "public"})
    assert answer.status_code == 302
    assert ApiClient.objects.get().client_type == "public"


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"redirect_uris": "http://desk.example/back"}, "No code may be sent to http://desk.example/back"),
        ({"redirect_uris": "javascript:alert(1)"}, "No code may be sent to javascript:alert(1)"),
        ({"redirect_uris": "https://desk.example/*"}, "No code may be sent to"),
        ({"redirect_uris": ""}, "People who agree must be led somewhere."),
        ({"flows": ["client_credentials"]}, "A client that acts on its own needs a user to run as."),
        ({"flows": ["jwt_bearer"]}, "Assertions are verified with this."),
        ({"certificate": "no key"}, "This is no PEM certificate or public key of an RSA key."),
        ({"ip_ranges": "10.0.0.0/8 here"}, "here is no network"),
        ({"flows": ["client_credentials"], "client_type": "public"}, "A public client has no secret"),
    ],
)
def test_what_does_not_go_together_is_refused(admin_client, changed, told):
    answer = admin_client.post(ADD, {**APP, **changed})
    assert answer.status_code == 200
    assert told in answer.content.decode()
    assert not ApiClient.objects.exists()


def test_the_screen_shows_what_a_client_touched_and_who_approved_it(admin_client, integration_user):
    made, _ = create_api_client("Warehouse", integration_user)
    ApiUse.objects.create(
        hour=clock.now(), surface="apexrest", target="POST /v1/orders/*", user_id=1, client_id=made.pk,
        requests=7, refused=0, failed=0, milliseconds=1, slowest=1,
    )  # fmt: skip
    Approval.objects.create(user=integration_user, client=made, scopes="api")
    text = admin_client.get(change(made)).content.decode()
    assert "apexrest: POST /v1/orders/* (7)" in text
    assert "integration: api" in text


def test_only_a_superuser_says_for_whom_a_client_may_act(operator, integration_user):
    made, _ = create_api_client("Nightly", integration_user)
    form = {"user": integration_user.pk, "client": made.pk, "scopes": "api"}
    add = "/admin/access/approval/add/"
    operator.post(add, form)
    assert not Approval.objects.exists()
    root = Client()
    root.force_login(User.objects.create_superuser("root"), backend="django.contrib.auth.backends.ModelBackend")
    assert root.post(add, form).status_code == 302
    assert Approval.objects.get().user == integration_user
