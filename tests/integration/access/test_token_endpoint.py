"""`POST /services/oauth2/token`, as Salesforce's clients use it."""

import base64
import hashlib
import hmac
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.test import Client
from oauth2_provider.models import AccessToken

from isthmus.access.actions import change_run_as_user, create_api_client, replace_client_secret
from isthmus.access.identity import identity_url
from isthmus.access.models import ApiClient
from isthmus.access.tokens import checksum

TOKEN = "/services/oauth2/token"


@pytest.fixture
def program(integration_user):
    return create_api_client("Warehouse", integration_user)


def ask(http, client_id, secret, **more):
    form = {"grant_type": "client_credentials", "client_id": client_id, "client_secret": secret, **more}
    return http.post(TOKEN, {name: value for name, value in form.items() if value is not None})


@pytest.mark.django_db
def test_a_client_gets_a_token_that_acts_as_its_user(http, program, integration_user, moving_clock, settings):
    settings.BASE_URL = "https://isthmus.example.org"
    client, secret = program
    answer = ask(http, client.client_id, secret)
    body = answer.json()

    assert answer.status_code == 200
    assert answer["Content-Type"] == "application/json;charset=UTF-8"
    assert answer["Cache-Control"] == "no-store"
    identity = identity_url(integration_user)
    issued_at = str(int(datetime(2026, 6, 1, 12, tzinfo=UTC).timestamp() * 1000))
    signed = hmac.digest(secret.encode(), (identity + issued_at).encode(), hashlib.sha256)
    text = body.pop("access_token")
    assert body == {
        "instance_url": "https://isthmus.example.org",
        "id": identity,
        "token_type": "Bearer",
        "issued_at": issued_at,
        "signature": base64.b64encode(signed).decode(),
        "scope": "api",
        "expires_in": 7200,
    }
    stored = AccessToken.objects.get()
    assert stored.user == integration_user
    assert stored.application == client
    assert stored.expires == moving_clock.now() + timedelta(hours=2)
    assert ApiClient.objects.get().last_used_at == moving_clock.now()
    assert stored.token_checksum == checksum(text)


@pytest.mark.django_db
@pytest.mark.parametrize("address", [TOKEN, TOKEN + "/", "//services/oauth2/token", "/services//oauth2///token"])
def test_basic_authentication_and_every_spelling_of_the_address_work(http, program, address):
    client, secret = program
    basic = base64.b64encode(f"{client.client_id}:{secret}".encode()).decode()
    # The test client takes what follows two slashes for a host, so the path is given as the server would give it.
    answer = http.post(
        "/", {"grant_type": "client_credentials"}, headers={"Authorization": f"Basic {basic}"}, PATH_INFO=address
    )
    assert answer.status_code == 200


@pytest.mark.django_db
def test_the_database_holds_neither_token_nor_secret(http, program):
    client, secret = program
    text = ask(http, client.client_id, secret).json()["access_token"]
    with connection.cursor() as cursor:
        rows = []
        for table in connection.introspection.table_names():
            cursor.execute(f"SELECT * FROM {connection.ops.quote_name(table)}")
            rows += cursor.fetchall()
    everything = repr(rows)
    assert client.client_id in everything
    assert secret not in everything
    assert text not in everything
    assert text.partition("!")[2] not in everything


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("form", "error", "description"),
    [
        ({"client_id": "nobody"}, "invalid_client_id", "client identifier invalid"),
        ({"client_id": "nul\x00"}, "invalid_client_id", "client identifier invalid"),
        ({"client_id": None}, "invalid_client_id", "client identifier invalid"),
        ({"client_secret": "wrong"}, "invalid_client", "invalid client credentials"),
        ({"client_secret": "nul\x00"}, "invalid_client", "invalid client credentials"),
        ({"client_secret": None}, "invalid_client", "invalid client credentials"),
        ({"grant_type": "password"}, "unsupported_grant_type", "grant type not supported"),
        ({"grant_type": "refresh_token"}, "invalid_request", "Missing refresh token parameter."),
        ({"scope": "everything"}, "invalid_scope", None),
        ({"grant_type": None}, "invalid_request", None),
    ],
)
def test_a_refusal_is_a_400_that_says_why(http, program, form, error, description):
    client, secret = program
    answer = ask(http, **{"client_id": client.client_id, "secret": secret, **_renamed(form)})
    assert answer.status_code == 400
    assert answer.json()["error"] == error
    if description:
        assert answer.json()["error_description"] == description
    assert not AccessToken.objects.exists()


def _renamed(form):
    return {"secret" if name == "client_secret" else name: value for name, value in form.items()}


@pytest.mark.django_db
@pytest.mark.parametrize("header", ["Basic", "Basic %%%", "Basic /w==", "Basic bm9jb2xvbg=="])
def test_broken_basic_authentication_is_refused(http, program, header):
    answer = http.post(TOKEN, {"grant_type": "client_credentials"}, headers={"Authorization": header})
    assert answer.status_code == 400
    assert answer.json()["error"] == "invalid_client_id"


@pytest.mark.django_db
def test_a_client_whose_user_is_inactive_gets_nothing(http, program, integration_user):
    client, secret = program
    integration_user.is_active = False
    integration_user.save()
    answer = ask(http, client.client_id, secret)
    assert (answer.status_code, answer.json()) == (
        400,
        {"error": "inactive_user", "error_description": "user is inactive"},
    )
    assert not AccessToken.objects.exists()


@pytest.mark.django_db
def test_a_client_without_a_user_gets_nothing(http, program):
    client, secret = program
    ApiClient.objects.update(user=None)
    answer = ask(http, client.client_id, secret)
    assert answer.json() == {"error": "invalid_grant", "error_description": "no client credentials user enabled"}
    assert not AccessToken.objects.exists()


@pytest.mark.django_db
def test_only_post_is_answered(http):
    answer = http.get(TOKEN)
    assert answer.status_code == 405
    assert answer["Allow"] == "POST"
    assert answer.json()["error"] == "invalid_request"


@pytest.mark.parametrize("address", ["/services/oauth2/nothing", "/services", "/services/", "/services/apexrest"])
@pytest.mark.parametrize("method", ["get", "post"])
def test_an_api_address_that_nobody_has_is_answered_as_json(http, address, method):
    answer = getattr(http, method)(address)
    assert (answer.status_code, answer.json()) == (
        404,
        [{"message": "The requested resource does not exist", "errorCode": "NOT_FOUND"}],
    )


@pytest.mark.django_db
def test_a_body_that_is_too_large_is_refused_as_json(http, program, settings):
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 100
    client, secret = program
    form = f"grant_type=client_credentials&client_id={client.client_id}&client_secret={secret}"
    answer = http.post(TOKEN, form, content_type="application/x-www-form-urlencoded")
    assert answer.status_code == 413
    assert answer.json()["error"] == "invalid_request"


@pytest.mark.django_db
def test_a_replaced_secret_voids_the_old_one_and_its_tokens(http, program):
    client, old = program
    ask(http, client.client_id, old)
    new = replace_client_secret(client)
    assert not AccessToken.objects.exists()
    assert ask(http, client.client_id, old).json()["error"] == "invalid_client"
    assert ask(http, client.client_id, new).status_code == 200


@pytest.mark.django_db
def test_another_run_as_user_voids_the_tokens(http, program, django_user_model):
    client, secret = program
    ask(http, client.client_id, secret)
    other = django_user_model.objects.create_user("other")
    change_run_as_user(client, other)
    assert not AccessToken.objects.exists()
    ask(http, client.client_id, secret)
    assert AccessToken.objects.get().user == other


@pytest.mark.django_db(transaction=True)
def test_no_token_survives_a_secret_replaced_at_the_same_time(program):
    """Whatever the order, the old secret's tokens are gone in the end."""
    client, secret = program

    def ask_once(_number):
        try:
            return ask(Client(raise_request_exception=False), client.client_id, secret).status_code
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(ask_once, number) for number in range(12)]
        replace_client_secret(ApiClient.objects.get(pk=client.pk))
        statuses = {one.result() for one in asked}
    assert statuses <= {200, 400}
    assert not AccessToken.objects.exists()
