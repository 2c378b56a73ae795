"""Authorization codes with PKCE, refresh tokens, JWT bearer, passwords, revocation: the flows as clients run them."""

import base64
import hashlib
import hmac
import json
import re
from datetime import timedelta
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from django.contrib.auth.models import User
from django.test import Client
from joserfc import jwt
from joserfc.jwk import KeySet, RSAKey
from oauth2_provider.models import AccessToken, Grant, RefreshToken

from isthmus.access.actions import create_api_client, revoke_client
from isthmus.access.identity import identity_url, organization_id, user_id
from isthmus.access.models import ApiClientSecret, Approval, Flow

AUTHORIZE, TOKEN = "/services/oauth2/authorize", "/services/oauth2/token"
REVOKE, INTROSPECT, USERINFO = (f"/services/oauth2/{name}" for name in ("revoke", "introspect", "userinfo"))
BACK = "http://localhost:1717/OauthRedirect"
VERIFIER = "v" * 64
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
SCOPES = ("api", "web", "refresh_token", "openid")

pytestmark = pytest.mark.django_db


@pytest.fixture
def ada(db):
    return User.objects.create_user("ada", "ada@example.org", "a good password", first_name="Ada", last_name="Byron")


@pytest.fixture
def app(ada):
    client, secret = create_api_client(
        "Desk", None, flows=[Flow.AUTHORIZATION_CODE], scopes=SCOPES, redirect_uris=[BACK]
    )
    client.secret = secret
    return client


@pytest.fixture
def public_app(ada):
    client, _ = create_api_client(
        "Command line",
        None,
        flows=[Flow.AUTHORIZATION_CODE],
        scopes=SCOPES,
        redirect_uris=[BACK],
        is_public=True,
        client_id="PlatformCLI",
    )
    return client


@pytest.fixture
def browser(ada):
    client = Client()
    client.force_login(ada, backend="django.contrib.auth.backends.ModelBackend")
    return client


def ask(client, **changed):
    asked = {
        "response_type": "code",
        "client_id": client.client_id,
        "redirect_uri": BACK,
        "scope": "api refresh_token",
        "state": "s-1",
        "code_challenge": CHALLENGE,
        **changed,
    }
    return urlencode({name: value for name, value in asked.items() if value is not None})


def allow(browser, query, answer="allow"):
    return browser.post(AUTHORIZE, {"query": query, "answer": answer})


def told(answer):
    assert answer.status_code == 302
    return dict(parse_qsl(urlsplit(answer["Location"]).query))


def code_for(browser, client, **changed):
    return told(allow(browser, ask(client, **changed)))["code"]


def redeem(http, client, code, **changed):
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "client_id": client.client_id,
        "client_secret": getattr(client, "secret", None),
        "redirect_uri": BACK,
        "code_verifier": VERIFIER,
        **changed,
    }
    return http.post(TOKEN, {name: value for name, value in form.items() if value is not None})


def refresh(http, client, token, **changed):
    form = {
        "grant_type": "refresh_token",
        "refresh_token": token,
        "client_id": client.client_id,
        "client_secret": getattr(client, "secret", None),
        **changed,
    }
    return http.post(TOKEN, {name: value for name, value in form.items() if value is not None})


def who(http, token, scheme="Bearer"):
    return http.get(USERINFO, headers={"Authorization": f"{scheme} {token}"})


def refused(answer, status=400):
    assert answer.status_code == status
    return answer.json()["error"], answer.json()["error_description"]


# --- authorization code -----------------------------------------------------------------------------------------------


def test_who_is_not_signed_in_signs_in_first(http, app):
    answer = http.get(f"{AUTHORIZE}?{ask(app)}")
    assert answer.status_code == 302
    target = urlsplit(answer["Location"])
    assert target.path == "/sign-in/"
    assert parse_qs(target.query)["next"] == [f"{AUTHORIZE}?{ask(app)}"]


def test_the_page_says_who_asks_for_what(browser, app):
    page = browser.get(f"{AUTHORIZE}?{ask(app)}")
    assert page.status_code == 200
    text = page.content.decode()
    assert "Allow Desk?" in text
    assert "Use the API as you" in text
    assert "Stay signed in until you take that back" in text
    assert "localhost:1717" in text
    assert "form-action 'self' http://localhost:1717" in page["Content-Security-Policy"]
    assert not Grant.objects.exists()


def test_a_code_becomes_tokens_that_act_as_the_person(browser, http, app, ada, settings):
    answer = allow(browser, ask(app))
    assert answer["Location"].startswith(f"{BACK}?")
    assert told(answer)["state"] == "s-1"
    got = redeem(http, app, told(answer)["code"])
    assert got.status_code == 200, got.content
    body = got.json()
    assert set(body) == {
        "access_token", "refresh_token", "instance_url", "id", "token_type", "issued_at", "signature", "scope",
        "expires_in",
    }  # fmt: skip
    assert body["instance_url"] == settings.BASE_URL
    assert body["id"] == identity_url(ada)
    assert body["scope"] == "api refresh_token"
    signed = hmac.digest(app.secret.encode(), (body["id"] + body["issued_at"]).encode(), hashlib.sha256)
    assert body["signature"] == base64.b64encode(signed).decode()
    assert re.fullmatch(r"00D\w{12,15}![.\w]*", body["access_token"])
    assert who(http, body["access_token"]).json()["preferred_username"] == "ada"


def test_a_public_client_needs_no_secret(browser, http, public_app, ada):
    body = redeem(http, public_app, code_for(browser, public_app)).json()
    assert body["id"] == identity_url(ada)
    assert body["refresh_token"]


def test_nothing_that_gives_access_is_stored_readable(browser, http, app):
    code = code_for(browser, app)
    assert Grant.objects.get().code != code
    body = redeem(http, app, code).json()
    stored = json.dumps([list(model.objects.values()) for model in (AccessToken, RefreshToken)], default=str)
    assert body["access_token"] not in stored
    assert body["refresh_token"] not in stored
    assert app.secret not in json.dumps(list(ApiClientSecret.objects.values()), default=str)


def test_without_asking_to_stay_signed_in_there_is_no_refresh_token(browser, http, app):
    assert "refresh_token" not in redeem(http, app, code_for(browser, app, scope="api")).json()


def test_who_agreed_once_is_not_asked_again_for_the_same(browser, app):
    allow(browser, ask(app))
    assert "code" in told(browser.get(f"{AUTHORIZE}?{ask(app)}"))
    assert browser.get(f"{AUTHORIZE}?{ask(app, scope='api web')}").status_code == 200
    assert browser.get(f"{AUTHORIZE}?{ask(app, prompt='consent')}").status_code == 200


def test_a_client_may_want_a_fresh_sign_in(browser, app, ada):
    query = ask(app, prompt="login")
    first = browser.get(f"{AUTHORIZE}?{query}")
    assert urlsplit(first["Location"]).path == "/sign-in/"
    assert browser.get("/").status_code == 302
    signed_in = browser.post(first["Location"], {"username": "ada", "password": "a good password"})
    assert signed_in["Location"] == f"{AUTHORIZE}?{query}"
    assert browser.get(signed_in["Location"]).status_code == 200


def test_who_says_no_is_led_back(browser, app):
    answer = told(allow(browser, ask(app), "deny"))
    assert answer == {
        "error": "access_denied",
        "error_description": "end-user denied authorization",
        "state": "s-1",
    }
    assert not Approval.objects.exists()


@pytest.mark.parametrize(
    "changed", [{"client_id": "nobody"}, {"redirect_uri": "http://localhost:1717/other"}, {"redirect_uri": "x"}]
)
def test_an_unknown_client_or_address_is_told_the_person_and_nobody_else(browser, app, changed):
    answer = browser.get(f"{AUTHORIZE}?{ask(app, **changed)}")
    assert answer.status_code == 400
    assert "This link does not work" in answer.content.decode()


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"scope": "api everything"}, "invalid_scope"),
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"code_challenge": None}, "invalid_request"),
        ({"code_challenge_method": "plain"}, None),
    ],
)
def test_what_the_client_may_not_ask_for_is_told_the_client(browser, app, changed, error):
    answer = told(browser.get(f"{AUTHORIZE}?{ask(app, **changed)}"))
    assert "code" not in answer
    assert error is None or answer["error"] == error
    assert answer["state"] == "s-1"


def test_a_confidential_client_may_be_spared_the_challenge(browser, http, app):
    type(app).objects.filter(pk=app.pk).update(requires_pkce=False)
    code = code_for(browser, app, code_challenge=None)
    assert redeem(http, app, code, code_verifier=None).status_code == 200


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"code": "no"}, ("invalid_grant", "invalid authorization code")),
        ({"code_verifier": "w" * 64}, ("invalid_grant", "invalid code verifier")),
        (
            {"redirect_uri": "http://localhost:1717/x"},
            ("redirect_uri_mismatch", "redirect_uri must match configuration"),
        ),
        ({"client_secret": "wrong"}, ("invalid_client", "invalid client credentials")),
        ({"client_secret": None}, ("invalid_client", "invalid client credentials")),
        ({"client_id": "nobody"}, ("invalid_client_id", "client identifier invalid")),
    ],
)
def test_a_code_is_redeemed_only_by_whom_it_was_given(browser, http, app, changed, error):
    code = code_for(browser, app)
    assert refused(redeem(http, app, **{"code": code, **changed})) == error
    assert not AccessToken.objects.exists()


def test_a_code_works_once_and_for_a_minute(browser, http, app, moving_clock):
    code = code_for(browser, app)
    assert redeem(http, app, code).status_code == 200
    assert refused(redeem(http, app, code)) == ("invalid_grant", "invalid authorization code")


# --- refresh ----------------------------------------------------------------------------------------------------------


def test_a_refresh_gives_a_new_pair_and_the_old_token_used_again_voids_everything(browser, http, app):
    first = redeem(http, app, code_for(browser, app)).json()
    second = refresh(http, app, first["refresh_token"]).json()
    assert second["refresh_token"] != first["refresh_token"]
    assert second["scope"] == "api refresh_token"
    assert who(http, first["access_token"]).status_code == 401
    assert who(http, second["access_token"]).status_code == 200
    # Somebody has the old one: whoever it is, nobody goes on.
    assert refused(refresh(http, app, first["refresh_token"])) == ("invalid_grant", "expired access/refresh token")
    assert refused(refresh(http, app, second["refresh_token"])) == ("invalid_grant", "expired access/refresh token")
    assert who(http, second["access_token"]).status_code == 401


def test_a_client_that_cannot_keep_new_refresh_tokens_keeps_its_own(browser, http, app):
    type(app).objects.filter(pk=app.pk).update(rotates_refresh_tokens=False)
    first = redeem(http, app, code_for(browser, app)).json()
    for _ in range(2):
        again = refresh(http, app, first["refresh_token"]).json()
        assert "refresh_token" not in again
        assert who(http, again["access_token"]).status_code == 200
        assert again["signature"]


def test_a_refresh_token_belongs_to_its_client(browser, http, app, public_app):
    token = redeem(http, app, code_for(browser, app)).json()["refresh_token"]
    assert refused(refresh(http, public_app, token))[0] == "invalid_grant"


def test_a_user_who_left_gets_no_further_token(browser, http, app, ada):
    token = redeem(http, app, code_for(browser, app)).json()["refresh_token"]
    User.objects.filter(pk=ada.pk).update(is_active=False)
    assert refused(refresh(http, app, token)) == ("inactive_user", "user is inactive")


# --- revocation and introspection -------------------------------------------------------------------------------------


@pytest.mark.parametrize("which", ["access_token", "refresh_token"])
@pytest.mark.parametrize("method", ["post", "get"])
def test_a_revoked_token_is_void_at_once(browser, http, app, which, method):
    got = redeem(http, app, code_for(browser, app)).json()
    answer = getattr(http, method)(REVOKE, {"token": got[which]})
    assert (answer.status_code, answer.content) == (200, b"")
    (error,) = who(http, got["access_token"]).json()
    assert error["errorCode"] == "INVALID_SESSION_ID"
    assert refused(refresh(http, app, got["refresh_token"]))[0] == "invalid_grant"
    assert refused(http.post(REVOKE, {"token": got[which]}))[0] == "unsupported_token_type"


def test_introspection_tells_a_client_about_its_own_tokens(browser, http, app, public_app, ada):
    got = redeem(http, app, code_for(browser, app)).json()
    form = {"token": got["access_token"], "client_id": app.client_id, "client_secret": app.secret}
    found = http.post(INTROSPECT, form).json()
    assert found.pop("exp") > found["iat"]
    assert found == {
        "active": True,
        "scope": "api refresh_token",
        "client_id": app.client_id,
        "username": "ada",
        "sub": identity_url(ada),
        "token_type": "access_token",
        "iat": found["iat"],
        "nbf": found["nbf"],
    }
    assert http.post(INTROSPECT, {**form, "token": got["refresh_token"]}).json()["token_type"] == "refresh_token"
    assert http.post(INTROSPECT, {**form, "token": "other"}).json() == {"active": False}
    assert http.post(INTROSPECT, {**form, "client_secret": "wrong"}).status_code == 401
    assert http.post(INTROSPECT, {"token": got["access_token"], "client_id": public_app.client_id}).status_code == 401


def test_one_click_voids_everything_a_client_holds(browser, http, app):
    got = redeem(http, app, code_for(browser, app)).json()
    code = code_for(browser, app)
    assert revoke_client(app) == 2
    assert who(http, got["access_token"]).status_code == 401
    assert refused(refresh(http, app, got["refresh_token"]))[0] == "invalid_grant"
    assert refused(redeem(http, app, code))[0] == "invalid_grant"
    assert browser.get(f"{AUTHORIZE}?{ask(app)}").status_code == 200


# --- who one is -------------------------------------------------------------------------------------------------------


def test_userinfo_and_identity_say_who_one_is(browser, http, app, ada, settings):
    token = redeem(http, app, code_for(browser, app)).json()["access_token"]
    assert re.fullmatch(r"api-usage=\d+/\d+", who(http, token)["Sforce-Limit-Info"])
    found = who(http, token, "OAuth").json()
    assert (found["user_id"], found["organization_id"]) == (user_id(ada), organization_id())
    assert (found["name"], found["email"], found["sub"]) == ("Ada Byron", "ada@example.org", identity_url(ada))
    assert found["urls"]["rest"] == f"{settings.BASE_URL}/services/data/v{{version}}/"
    path = urlsplit(identity_url(ada)).path
    by_header = http.get(path, headers={"Authorization": f"Bearer {token}"}).json()
    assert http.get(path, {"format": "json", "oauth_token": token}).json() == by_header
    assert http.get(f"{path.replace('/id/', '/id//')}/", {"oauth_token": token}).json() == by_header
    assert (by_header["id"], by_header["user_id"], by_header["username"]) == (identity_url(ada), user_id(ada), "ada")
    other = User.objects.create_user("other")
    assert http.get(urlsplit(identity_url(other)).path, {"oauth_token": token}).status_code == 401
    assert http.get(path, {"oauth_token": "wrong"}).status_code == 401
    assert http.get(path).status_code == 401


def test_an_identity_token_is_signed_and_can_be_verified(browser, http, app, ada, settings):
    code = code_for(browser, app, scope="openid api", nonce="n-1")
    found = http.get("/.well-known/openid-configuration").json()
    assert found["issuer"] == settings.BASE_URL
    body = redeem(http, app, code).json()
    keys = KeySet.import_key_set(http.get(urlsplit(found["jwks_uri"]).path).json())
    claims = jwt.decode(body["id_token"], keys, algorithms=["RS256"]).claims
    assert (claims["iss"], claims["aud"], claims["sub"]) == (settings.BASE_URL, app.client_id, identity_url(ada))
    assert claims["nonce"] == "n-1"


def test_a_token_that_is_not_for_the_api_does_not_open_it(browser, http, app):
    token = redeem(http, app, code_for(browser, app, scope="openid")).json()["access_token"]
    assert who(http, token).status_code == 200
    (error,) = http.get("/services/apexrest/x", headers={"Authorization": f"Bearer {token}"}).json()
    assert error["errorCode"] == "INSUFFICIENT_ACCESS"
    assert "scopes" in error["message"]


# --- JWT bearer -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def key():
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@pytest.fixture
def signer(ada, key):
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    client, secret = create_api_client(
        "Nightly", None, flows=[Flow.JWT_BEARER], scopes=("api",), certificate=public.decode()
    )
    Approval.objects.create(user=ada, client=client, scopes="api")
    client.secret = secret
    return client


def assertion(client, key, moving_clock=None, **changed):
    claims = {
        "iss": client.client_id,
        "sub": "ada",
        "aud": "https://login.salesforce.com",
        "exp": 4_000_000_000,
        **changed,
    }
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    signed = jwt.encode({"alg": "RS256"}, claims, RSAKey.import_key(pem))
    return {"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer", "assertion": signed}


@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"exp": "4000000000"},
        {"exp": 4_000_000_000_000 + 300},
        {"aud": "https://test.salesforce.com/"},
        {"aud": "http://127.0.0.1:8000"},
    ],
)
def test_a_signed_assertion_becomes_a_token(http, signer, key, ada, changed):
    answer = http.post(TOKEN, assertion(signer, key, **changed))
    assert answer.status_code == 200, answer.content
    body = answer.json()
    assert (body["id"], body["scope"]) == (identity_url(ada), "api")
    assert "refresh_token" not in body
    signed = hmac.digest(signer.secret.encode(), (body["id"] + body["issued_at"]).encode(), hashlib.sha256)
    assert body["signature"] == base64.b64encode(signed).decode()
    assert who(http, body["access_token"]).status_code == 200


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"iss": "nobody"}, ("invalid_client_id", "client identifier invalid")),
        ({"sub": "nobody"}, ("invalid_grant", "user hasn't approved this consumer")),
        ({"aud": "https://evil.example"}, ("invalid_grant", "audience is invalid")),
        ({"exp": 1_000}, ("invalid_grant", "expired authorization code")),
        ({"exp": "soon"}, ("invalid_grant", "expired authorization code")),
    ],
)
def test_an_assertion_that_is_not_right_is_refused(http, signer, key, changed, error):
    assert refused(http.post(TOKEN, assertion(signer, key, **changed))) == error


def test_an_assertion_by_another_key_is_refused(http, signer):
    other = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    assert refused(http.post(TOKEN, assertion(signer, other))) == ("invalid_grant", "invalid assertion")
    unsigned = jwt.encode({"alg": "HS256"}, {"iss": signer.client_id, "sub": "ada"}, _octets())
    form = {"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer", "assertion": unsigned}
    assert refused(http.post(TOKEN, form)) == ("invalid_grant", "invalid assertion")
    assert refused(http.post(TOKEN, {**form, "assertion": "a.b.c"})) == ("invalid_grant", "invalid assertion")
    assert refused(http.post(TOKEN, {**form, "assertion": ""})) == ("invalid_grant", "invalid assertion")


def _octets():
    from joserfc.jwk import OctKey

    return OctKey.import_key("x" * 32)


def test_a_user_must_have_agreed_before(http, signer, key):
    Approval.objects.all().delete()
    assert refused(http.post(TOKEN, assertion(signer, key))) == ("invalid_grant", "user hasn't approved this consumer")


# --- old clients, and what holds a client back ------------------------------------------------------------------------


@pytest.fixture
def old_client(ada):
    client, secret = create_api_client("Old", None, flows=[Flow.PASSWORD], scopes=("api",))
    return {"client_id": client.client_id, "client_secret": secret, "grant_type": "password", "username": "ada"}


def test_passwords_are_taken_only_where_that_is_switched_on(http, old_client, settings, ada):
    form = {**old_client, "password": "a good password"}
    assert refused(http.post(TOKEN, form)) == ("unsupported_grant_type", "grant type not supported")
    settings.ISTHMUS_ACCESS_PASSWORD_FLOWS = True
    assert http.post(TOKEN, form).json()["id"] == identity_url(ada)
    assert refused(http.post(TOKEN, {**form, "password": "x"})) == ("invalid_grant", "authentication failure")
    assert refused(http.post(TOKEN, {**form, "username": "a\0"})) == ("invalid_grant", "authentication failure")


SOAP = """<?xml version="1.0"?><env:Envelope xmlns:env="http://schemas.xmlsoap.org/soap/envelope/"><env:Body>
<n1:login xmlns:n1="urn:partner.soap.sforce.com"><n1:username>ada</n1:username><n1:password>{}</n1:password></n1:login>
</env:Body></env:Envelope>"""


def soap(http, password, path="/services/Soap/u/59.0", body=SOAP):
    return http.post(path, body.format(password), content_type="text/xml", headers={"SOAPAction": "login"})


def test_soap_login_is_there_for_old_clients_where_it_is_switched_on(http, ada, settings):
    off = soap(http, "a good password")
    assert off.status_code == 500
    assert b"<sf:exceptionCode>INVALID_LOGIN</sf:exceptionCode>" in off.content
    settings.ISTHMUS_ACCESS_PASSWORD_FLOWS = True
    answer = soap(http, "a good password", "/services//Soap/u/59.0/")
    assert (answer.status_code, answer["Content-Type"]) == (200, "text/xml;charset=UTF-8")
    text = answer.content.decode()
    assert f"<userId>{user_id(ada)}</userId>" in text
    assert "<passwordExpired>false</passwordExpired>" in text
    assert f"<serverUrl>{settings.BASE_URL}/services/Soap/u/59.0/{organization_id(length=15)}</serverUrl>" in text
    token = re.search("<sessionId>(.*)</sessionId>", text)[1]
    assert who(http, token).status_code == 200
    wrong = soap(http, "wrong")
    assert wrong.status_code == 500
    assert b"<faultstring>INVALID_LOGIN: Invalid username, password, security token" in wrong.content
    assert soap(http, "", body="<a>").status_code == 500
    out = http.post(
        "/services/Soap/u/59.0",
        SOAP.replace("n1:login", "n1:logout"),
        content_type="text/xml",
        headers={"Authorization": f"Bearer {token}"},
    )
    assert b"<logoutResponse/>" in out.content
    assert who(http, token).status_code == 401


def test_a_client_is_held_to_its_networks(http, integration_user):
    client, secret = create_api_client("Inside", integration_user, ip_ranges="10.0.0.0/8\n192.0.2.7/32")
    form = {"grant_type": "client_credentials", "client_id": client.client_id, "client_secret": secret}
    assert refused(http.post(TOKEN, form)) == ("invalid_grant", "ip restricted")
    token = http.post(TOKEN, form, REMOTE_ADDR="10.9.8.7").json()["access_token"]
    assert who(http, token).status_code == 401
    inside = http.get(USERINFO, headers={"Authorization": f"Bearer {token}"}, REMOTE_ADDR="192.0.2.7")
    assert inside.status_code == 200


def test_a_clients_time_may_be_over(http, integration_user, moving_clock):
    until = moving_clock.now() + timedelta(minutes=30)
    client, secret = create_api_client("Trial", integration_user, expires_at=until)
    form = {"grant_type": "client_credentials", "client_id": client.client_id, "client_secret": secret}
    token = http.post(TOKEN, form).json()["access_token"]
    assert who(http, token).status_code == 200
    moving_clock.move(timedelta(minutes=30))
    assert who(http, token).status_code == 401
    assert refused(http.post(TOKEN, form)) == ("invalid_client", "client has expired")


def test_a_client_keeps_to_its_flows(http, app):
    form = {"grant_type": "client_credentials", "client_id": app.client_id, "client_secret": app.secret}
    assert refused(http.post(TOKEN, form)) == ("unauthorized_client", "this flow is not enabled for the client")


def test_oauth_endpoints_answer_json_whatever_comes(http):
    assert http.get(TOKEN).json()["error"] == "invalid_request"
    assert http.put(REVOKE).status_code == 405
    assert http.post(INTROSPECT).status_code == 401
