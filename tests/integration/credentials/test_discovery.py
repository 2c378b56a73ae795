"""What an issuer says of itself is believed only where it is its own description, over a safe address."""

import json
import threading
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from credentials import discovery
from credentials.errors import DiscoveryFailed, SecretRefused
from credentials.models import IdentityProvider
from credentials.provider_actions import save_identity_provider
from isthmus import clock

pytestmark = pytest.mark.django_db


class Issuer:
    """Answers with `documents` by path."""

    def __enter__(self):
        issuer = self
        self.documents, self.asked = {}, []

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                issuer.asked.append(self.path)
                status, content = issuer.documents.get(self.path, (404, b"no"))
                self.send_response(status)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_):
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._http.server_port}"
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    def say(self, path="/.well-known/openid-configuration", **changed):
        document = {
            "issuer": self.url,
            "authorization_endpoint": f"{self.url}/authorize",
            "token_endpoint": f"{self.url}/token",
            "revocation_endpoint": f"{self.url}/revoke",
            "jwks_uri": f"{self.url}/jwks",
            "code_challenge_methods_supported": ["S256", "plain"],
            **changed,
        }
        self.documents[path] = (200, json.dumps({k: v for k, v in document.items() if v is not None}).encode())


@pytest.fixture
def issuer():
    with Issuer() as running:
        yield running


@pytest.fixture
def provider(issuer):
    return save_identity_provider(
        IdentityProvider(name="Login", issuer=issuer.url, client_id="isthmus", allow_internal_addresses=True)
    )


def test_endpoints_are_discovered_and_kept_for_a_day(issuer, provider, moving_clock):
    issuer.say()
    found = discovery.ensure_discovered(provider)
    assert (found.token_endpoint, found.revocation_endpoint) == (f"{issuer.url}/token", f"{issuer.url}/revoke")
    discovery.ensure_discovered(found)
    assert len(issuer.asked) == 1
    moving_clock.move(timedelta(days=1, seconds=1))
    discovery.ensure_discovered(found)
    assert len(issuer.asked) == 2


def test_the_other_well_known_address_is_tried(issuer, provider):
    issuer.say("/.well-known/oauth-authorization-server")
    assert discovery.refresh(provider).token_endpoint == f"{issuer.url}/token"


def test_an_issuer_with_a_path_has_its_descriptions_where_the_standards_say(issuer, provider):
    provider.issuer = f"{issuer.url}/tenant"
    provider.save()
    issuer.say("/.well-known/oauth-authorization-server/tenant", issuer=provider.issuer)
    discovery.refresh(provider)
    assert issuer.asked == [
        "/tenant/.well-known/openid-configuration",
        "/.well-known/oauth-authorization-server/tenant",
    ]


def test_what_was_entered_by_hand_stays(issuer, provider):
    provider.revocation_endpoint = f"{issuer.url}/mine"
    save_identity_provider(provider)
    issuer.say()
    assert discovery.refresh(provider).revocation_endpoint == f"{issuer.url}/mine"


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"issuer": "https://evil.example"}, "another issuer"),
        ({"issuer": None}, "another issuer"),
        ({"code_challenge_methods_supported": ["plain"]}, "S256"),
        ({"token_endpoint": "javascript:alert(1)"}, "token_endpoint"),
        ({"token_endpoint": "https://user:pw@evil.example/t"}, "token_endpoint"),
        ({"authorization_endpoint": 7}, "authorization_endpoint"),
        ({"jwks_uri": "https://a.example/\u202ex"}, "jwks_uri"),
    ],
)
def test_a_description_that_cannot_be_believed_changes_nothing(issuer, provider, changed, told):
    issuer.say(**changed)
    with pytest.raises(DiscoveryFailed, match=told):
        discovery.refresh(provider)
    provider.refresh_from_db()
    assert (provider.token_endpoint, provider.discovered_at) == ("", None)


def test_plain_http_endpoints_are_for_the_house_only(issuer, provider):
    issuer.say()
    IdentityProvider.objects.update(allow_internal_addresses=False)
    provider.refresh_from_db()
    with pytest.raises(DiscoveryFailed):
        discovery.refresh(provider)


@pytest.mark.parametrize("answer", [(200, b"<html>"), (200, b"[]"), (500, b"{}"), (302, b""), (200, b"[" * 100_000)])
def test_an_answer_that_is_no_description_is_told(issuer, provider, answer):
    issuer.documents["/.well-known/openid-configuration"] = answer
    issuer.documents["/.well-known/oauth-authorization-server"] = answer
    with pytest.raises(DiscoveryFailed):
        discovery.refresh(provider)


def test_a_provider_that_cannot_be_asked_keeps_what_is_known(issuer, provider, moving_clock):
    issuer.say()
    discovery.refresh(provider)
    issuer.documents.clear()
    moving_clock.move(timedelta(days=3))
    assert discovery.ensure_discovered(provider).token_endpoint == f"{issuer.url}/token"


def test_another_issuer_starts_from_nothing(issuer, provider):
    issuer.say()
    discovery.refresh(provider)
    provider.issuer = f"{issuer.url}/other"
    save_identity_provider(provider)
    assert (provider.metadata, provider.discovered_at) == ({}, None)
    assert clock.now() is not None


def test_a_mask_is_no_client_secret(provider):
    for mask in ("***", "********", "•••"):
        with pytest.raises(SecretRefused, match="mask"):
            save_identity_provider(provider, client_secret=mask)
    assert IdentityProvider.objects.get().client_secret is None
