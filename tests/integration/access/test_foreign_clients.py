"""OAuth as clients by other authors run it: simple-salesforce, Authlib, requests-oauthlib.

They insist on https; `tests.salesforce_front` is the TLS front that a real instance has.
"""

from urllib.parse import parse_qsl, urlsplit

import pytest
import requests
from authlib.integrations.requests_client import OAuth2Session
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from django.contrib.auth.models import User
from django.test import Client
from joserfc import jwt
from joserfc.jwk import KeySet
from oauthlib.oauth2 import BackendApplicationClient, InvalidGrantError
from requests_oauthlib import OAuth2Session as RequestsOAuth2Session
from simple_salesforce import Salesforce, SalesforceLogin
from simple_salesforce.exceptions import SalesforceAuthenticationFailed

from isthmus.access.actions import assign, create_api_client, ensure_permission_set
from isthmus.access.identity import user_id
from isthmus.access.models import Approval, Flow
from tests.salesforce_front import HOST, behind

BACK = "https://app.example/back"

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def base(live_server, settings):
    settings.BASE_URL = f"https://{HOST}"
    settings.ISTHMUS_ACCESS_PASSWORD_FLOWS = True
    return settings.BASE_URL


@pytest.fixture
def ada(db):
    user = User.objects.create_user("ada", "ada@example.org", "a good password")
    grants = [("endpoint", "post", "/v1/support-requests/*")] + [
        ("object", action, "Case") for action in ("create", "read", "edit")
    ]
    assign(ensure_permission_set("Support", "Support", [*grants, ("field", "edit", "Case.*")]), user)
    return user


def calls_the_api(session_id, host, live_server):
    """Return what the endpoint answers to simple-salesforce with this session."""
    client = Salesforce(
        instance_url=f"https://{host}", session_id=session_id, session=behind(requests.Session(), live_server)
    )
    request = {"externalReference": "R-1", "customerEmail": "a@example.org", "subject": "No power"}
    return client.apexecute("v1/support-requests", method="POST", data=request)


def test_simple_salesforce_by_password(base, live_server, ada):
    client, secret = create_api_client("Old", None, flows=[Flow.PASSWORD])
    given = {"username": "ada", "consumer_key": client.client_id, "consumer_secret": secret, "domain": "isthmus.my"}
    session_id, host = SalesforceLogin(
        **given, password="a good password", session=behind(requests.Session(), live_server)
    )
    assert calls_the_api(session_id, host, live_server)["status"] == "created"
    with pytest.raises(SalesforceAuthenticationFailed, match="authentication failure"):
        SalesforceLogin(**given, password="wrong", session=behind(requests.Session(), live_server))


def test_simple_salesforce_by_client_credentials(base, live_server, ada):
    client, secret = create_api_client("Robot", ada)
    session_id, host = SalesforceLogin(
        consumer_key=client.client_id,
        consumer_secret=secret,
        domain="isthmus.my",
        session=behind(requests.Session(), live_server),
    )
    assert host == HOST
    assert calls_the_api(session_id, host, live_server)["status"] == "created"


def test_simple_salesforce_by_jwt(base, live_server, ada):
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    client, _ = create_api_client("Nightly", None, flows=[Flow.JWT_BEARER], certificate=public.decode())
    given = {"username": "ada", "consumer_key": client.client_id, "privatekey": private.decode()}
    # It tells its user, too, to open the address at which one agrees.
    with (
        pytest.warns(UserWarning, match="/services/oauth2/authorize"),
        pytest.raises(SalesforceAuthenticationFailed, match="user hasn't approved this consumer"),
    ):
        SalesforceLogin(**given, session=behind(requests.Session(), live_server))
    Approval.objects.create(user=ada, client=client, scopes="api")
    session_id, host = SalesforceLogin(**given, session=behind(requests.Session(), live_server))
    assert calls_the_api(session_id, host, live_server)["status"] == "created"


def test_simple_salesforce_by_soap(base, live_server, ada):
    session_id, host = SalesforceLogin(
        username="ada",
        password="a good password",
        security_token="",
        domain="login",
        session=behind(requests.Session(), live_server),
    )
    assert host == HOST
    assert calls_the_api(session_id, host, live_server)["status"] == "created"
    with pytest.raises(SalesforceAuthenticationFailed, match="INVALID_LOGIN"):
        SalesforceLogin(
            username="ada",
            password="wrong",
            security_token="",
            domain="login",
            session=behind(requests.Session(), live_server),
        )


def test_simple_salesforce_renews_its_session_when_the_token_was_revoked(base, live_server, ada):
    client, secret = create_api_client("Robot", ada)
    session = behind(requests.Session(), live_server)
    salesforce = Salesforce(consumer_key=client.client_id, consumer_secret=secret, domain="isthmus.my", session=session)
    request = {"externalReference": "R-1", "customerEmail": "a@example.org", "subject": "No power"}
    assert salesforce.apexecute("v1/support-requests", method="POST", data=request)["status"] == "created"
    session.post(f"{base}/services/oauth2/revoke", data={"token": salesforce.session_id})
    assert salesforce.apexecute("v1/support-requests", method="POST", data=request)["status"] == "updated"


def agree(ada, address):
    """Return where the browser of `ada` ends up after agreeing."""
    browser = Client()
    browser.force_login(ada, backend="django.contrib.auth.backends.ModelBackend")
    query = urlsplit(address).query
    answer = browser.post("/services/oauth2/authorize", {"query": query, "answer": "allow"})
    return answer["Location"]


def test_authlib_by_authorization_code_with_pkce_refresh_and_revocation(base, live_server, ada):
    app, secret = create_api_client(
        "Desk",
        None,
        flows=[Flow.AUTHORIZATION_CODE],
        scopes=("api", "refresh_token", "openid"),
        redirect_uris=[BACK],
    )
    found = behind(requests.Session(), live_server).get(f"{base}/.well-known/openid-configuration").json()
    session = behind(
        OAuth2Session(
            app.client_id,
            secret,
            scope="openid api refresh_token",
            redirect_uri=BACK,
            code_challenge_method="S256",
            token_endpoint=found["token_endpoint"],
        ),
        live_server,
    )
    verifier = "v" * 50
    address, state = session.create_authorization_url(
        found["authorization_endpoint"], code_verifier=verifier, nonce="n-1"
    )
    token = session.fetch_token(
        found["token_endpoint"],
        authorization_response=agree(ada, address),
        state=state,
        code_verifier=verifier,
    )
    keys = KeySet.import_key_set(behind(requests.Session(), live_server).get(found["jwks_uri"]).json())
    assert jwt.decode(token["id_token"], keys, algorithms=["RS256"]).claims["nonce"] == "n-1"
    assert session.get(found["userinfo_endpoint"]).json()["user_id"] == user_id(ada)
    renewed = session.refresh_token(found["token_endpoint"])
    assert renewed["refresh_token"] != token["refresh_token"]
    assert session.get(found["userinfo_endpoint"]).json()["preferred_username"] == "ada"
    told = session.introspect_token(found["introspection_endpoint"], token=renewed["access_token"]).json()
    assert (told["active"], told["username"]) == (True, "ada")
    assert session.revoke_token(found["revocation_endpoint"], token=renewed["refresh_token"]).status_code == 200
    again = behind(requests.Session(), live_server).get(
        found["userinfo_endpoint"], headers={"Authorization": f"Bearer {renewed['access_token']}"}
    )
    assert again.status_code == 401


def test_requests_oauthlib_by_client_credentials_and_by_code(base, live_server, ada):
    robot, robot_secret = create_api_client("Robot", ada)
    session = behind(RequestsOAuth2Session(client=BackendApplicationClient(robot.client_id)), live_server)
    session.fetch_token(f"{base}/services/oauth2/token", client_secret=robot_secret)
    assert session.get(f"{base}/services/oauth2/userinfo").json()["preferred_username"] == "ada"

    app, secret = create_api_client(
        "Desk", None, flows=[Flow.AUTHORIZATION_CODE], scopes=("api", "refresh_token"), redirect_uris=[BACK]
    )
    web = behind(
        RequestsOAuth2Session(app.client_id, redirect_uri=BACK, scope=["api", "refresh_token"], pkce="S256"),
        live_server,
    )
    address, state = web.authorization_url(f"{base}/services/oauth2/authorize")
    response = agree(ada, address)
    assert dict(parse_qsl(urlsplit(response).query))["state"] == state
    token = web.fetch_token(
        f"{base}/services/oauth2/token", authorization_response=response, client_secret=secret, include_client_id=True
    )
    renewed = web.refresh_token(
        f"{base}/services/oauth2/token",
        refresh_token=token["refresh_token"],
        client_id=app.client_id,
        client_secret=secret,
    )
    assert renewed["access_token"] != token["access_token"]
    with pytest.raises(InvalidGrantError):
        web.refresh_token(
            f"{base}/services/oauth2/token",
            refresh_token=token["refresh_token"],
            client_id=app.client_id,
            client_secret=secret,
        )
