"""Deliveries that are let in by their signature: every scheme, wrong in every way, and twice."""

import base64
import hashlib
import hmac
import json
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from django.test import Client
from joserfc import jws
from joserfc.jwk import ECKey, OctKey
from joserfc.jws import JWSRegistry
from requests import Request

from apexrest.decorators import rest_resource
from apexrest.errors import EndpointMisdeclared
from apexrest.models import RecordedAnswer
from apexrest.webhooks import Webhook
from credentials import actions
from credentials.protocols.base import AuthenticationContext
from credentials.protocols.webhook_signature import WebhookSignature
from crm.models import Case
from isthmus.access.policy import SYSTEM_USERNAME
from isthmus.console import finding

pytestmark = pytest.mark.django_db

BODY = json.dumps({"id": "evt_1", "event_id": "Ev1", "type": "paid"}).encode()
SECRETS = {
    "standard": "whsec_" + base64.b64encode(b"k" * 32).decode(),
    "stripe": "whsec_stripe",
    "github": "hub",
    "slack": "slack",
    "jws": "s" * 32,
}
SCHEMES = list(SECRETS)
LENIENT = JWSRegistry(strict_check_header=False)


def seconds(clock):
    return str(int(clock.now().timestamp()))


def sign(scheme, body, moment, secret):
    """Return the headers that a sender of this kind adds."""
    if scheme == "standard":
        key = base64.b64decode(secret.removeprefix("whsec_"))
        made = base64.b64encode(hmac.digest(key, b"msg_1." + moment.encode() + b"." + body, hashlib.sha256)).decode()
        return {"webhook-id": "msg_1", "webhook-timestamp": moment, "webhook-signature": f"v1,AAAA v1,{made}"}
    if scheme == "jws":
        whole = jws.serialize_compact(
            {"alg": "HS256", "iat": int(moment), "jti": "j-1"}, body, _octets(secret), registry=LENIENT
        )
        protected, _, signature = whole.split(".")
        return {"X-JWS-Signature": f"{protected}..{signature}"}
    signed = {"stripe": f"{moment}.".encode(), "slack": f"v0:{moment}:".encode(), "github": b""}[scheme] + body
    made = hmac.digest(secret.encode(), signed, hashlib.sha256).hex()
    return {
        "stripe": {"Stripe-Signature": f"t={moment},v1={made},v0=old"},
        "slack": {"X-Slack-Request-Timestamp": moment, "X-Slack-Signature": f"v0={made}"},
        "github": {"X-Hub-Signature-256": f"sha256={made}", "X-GitHub-Delivery": "any"},
    }[scheme]


def _encoded(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _octets(secret):
    return OctKey.import_key(secret)


@pytest.fixture
def sender(db, samples):
    credential = actions.create_external_credential("Sender", protocol="webhook_signature")
    for scheme, secret in SECRETS.items():
        principal = actions.create_principal(credential, scheme)
        actions.replace_secret(principal, "signing_secret", secret)
    return credential


def deliver(scheme, headers, body=BODY, path=None):
    http = Client(raise_request_exception=False)
    target = path or f"/services/apexrest/hooks/{scheme}"
    return http.post(target, body, content_type="application/json", headers=headers)


def signed(scheme, clock, body=BODY, secret=None):
    return sign(scheme, body, seconds(clock), secret or SECRETS[scheme])


def refusal(answer):
    (error,) = answer.json()
    return answer.status_code, error["errorCode"]


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_signed_delivery_is_handled_by_the_automated_process(sender, moving_clock, scheme):
    answer = deliver(scheme, signed(scheme, moving_clock))
    assert answer.status_code == 200, answer.content
    assert answer.json() == {"case": Case.objects.get().record_id, "as": SYSTEM_USERNAME}


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_delivery_that_comes_again_is_answered_and_not_handled_again(sender, moving_clock, scheme):
    first = deliver(scheme, signed(scheme, moving_clock))
    moving_clock.move(timedelta(minutes=3))
    again = deliver(scheme, signed(scheme, moving_clock))
    assert (again.status_code, again.content) == (200, first.content)
    assert again["Idempotent-Replayed"] == "true"
    assert Case.objects.count() == 1


@pytest.mark.parametrize(("scheme", "delivery_id"), [("standard", "msg_1"), ("stripe", "evt_1"), ("jws", "j-1")])
def test_a_delivery_is_found_by_the_id_that_its_sender_has(sender, moving_clock, admin_user, scheme, delivery_id):
    deliver(scheme, signed(scheme, moving_clock))
    [found] = finding.find(admin_user, delivery_id).matches
    assert (found.kind, found.title) == ("Recorded answer", f"POST /hooks/{scheme}")
    assert found.url == f"/timeline/{RecordedAnswer.objects.get().correlation_id}"
    assert finding.find(admin_user, "msg_2").matches == ()


def test_senders_may_count_their_attempts_in_the_body(sender, moving_clock):
    deliver("stripe", signed("stripe", moving_clock))
    more = json.dumps({"id": "evt_1", "type": "paid", "pending_webhooks": 2}).encode()
    assert deliver("stripe", signed("stripe", moving_clock, more), more)["Idempotent-Replayed"] == "true"


def test_deliveries_with_long_ids_are_told_apart_by_their_last_letters(sender, moving_clock):
    for last in "ab":
        body = json.dumps({"id": "e" * 400 + last, "type": "paid"}).encode()
        assert "Idempotent-Replayed" not in deliver("stripe", signed("stripe", moving_clock, body), body)
    assert Case.objects.count() == 2


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_delivery_that_is_not_signed_right_is_refused(sender, moving_clock, scheme):
    good = signed(scheme, moving_clock)
    for headers, body in [
        ({}, BODY),
        (good, BODY + b" "),
        (signed(scheme, moving_clock, secret="x" * 32 if scheme != "standard" else "whsec_eHh4"), BODY),
        (dict.fromkeys(good, ""), BODY),
        (dict.fromkeys(good, "é"), BODY),
        ({name: value[: len(value) // 2] for name, value in good.items()}, BODY),
    ]:
        assert refusal(deliver(scheme, headers, body)) == (401, "INVALID_SIGNATURE")
    assert not Case.objects.exists()


@pytest.mark.parametrize("scheme", [scheme for scheme in SCHEMES if scheme != "github"])
@pytest.mark.parametrize("by", [timedelta(seconds=301), timedelta(days=1)])
def test_an_old_delivery_is_refused_though_signed_right(sender, moving_clock, scheme, by):
    headers = signed(scheme, moving_clock)
    moving_clock.move(by)
    assert refusal(deliver(scheme, headers)) == (401, "INVALID_SIGNATURE")


@pytest.mark.parametrize("scheme", SCHEMES)
def test_while_a_secret_is_changed_both_are_taken(sender, moving_clock, scheme):
    principal = sender.principals.get(name=scheme)
    new = "whsec_" + base64.b64encode(b"n" * 32).decode() if scheme == "standard" else "n" * 32
    actions.replace_secrets(principal, {"signing_secret": new, "previous_signing_secret": SECRETS[scheme]})
    assert deliver(scheme, signed(scheme, moving_clock)).status_code == 200
    other = json.dumps({"id": "evt_2", "event_id": "Ev2", "type": "paid"}).encode()
    assert deliver(scheme, signed(scheme, moving_clock, other, new), other).status_code == 200


def test_public_keys_verify_what_only_the_sender_can_sign(sender, moving_clock):
    own = ed25519.Ed25519PrivateKey.generate()
    raw = own.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    actions.replace_secret(
        sender.principals.get(name="standard"), "signing_secret", "whpk_" + base64.b64encode(raw).decode()
    )
    moment = seconds(moving_clock)
    made = base64.b64encode(own.sign(b"msg_1." + moment.encode() + b"." + BODY)).decode()
    headers = {"webhook-id": "msg_1", "webhook-timestamp": moment, "webhook-signature": f"v1a,{made}"}
    assert deliver("standard", headers).status_code == 200

    key = ec.generate_private_key(ec.SECP256R1())
    public = (
        key.public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        .decode()
    )
    actions.replace_secret(sender.principals.get(name="jws"), "signing_secret", public)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    protected, _, signature = jws.serialize_compact({"alg": "ES256"}, BODY, ECKey.import_key(private)).split(".")
    assert deliver("jws", {"X-JWS-Signature": f"{protected}..{signature}"}).status_code == 200
    # A public key is no shared secret, whatever the delivery says.
    head, payload = (_encoded(part) for part in (b'{"alg":"HS256"}', BODY))
    forged = _encoded(hmac.digest(public.strip().encode(), f"{head}.{payload}".encode(), hashlib.sha256))
    assert refusal(deliver("jws", {"X-JWS-Signature": f"{head}..{forged}"})) == (401, "INVALID_SIGNATURE")


def test_a_webhook_may_run_as_a_user_whose_grants_count(sender, moving_clock, caller, django_user_model):
    headers = signed("github", moving_clock)
    path = "/services/apexrest/hooks/as-user"
    assert deliver("github", headers, path=path).json()["as"] == "integration"
    other = BODY.replace(b"evt_1", b"evt_2")
    caller.permission_sets.clear()
    answer = deliver("github", signed("github", moving_clock, other), other, path)
    assert refusal(answer) == (403, "INSUFFICIENT_ACCESS")
    django_user_model.objects.filter(pk=caller.pk).update(is_active=False)
    assert refusal(deliver("github", headers, path=path)) == (401, "INVALID_SIGNATURE")


def test_without_a_secret_nothing_comes_in(samples, moving_clock):
    assert refusal(deliver("github", signed("github", moving_clock))) == (401, "INVALID_SIGNATURE")


@pytest.mark.parametrize("given", [{"scheme": "none", "principal": "A.B"}, {"scheme": "stripe", "principal": "A"}])
def test_a_webhook_that_cannot_work_is_refused_at_the_start(given):
    with pytest.raises(EndpointMisdeclared):
        rest_resource("/x", webhook=Webhook(**given))


def test_what_goes_out_is_signed_as_standard_webhooks_has_it(sender, moving_clock):
    secret = sender.principals.get(name="standard").secrets.get(name="signing_secret").value
    protocol = WebhookSignature(AuthenticationContext(settings={}, secrets={"signing_secret": secret}, tokens=None))
    request = Request("POST", "https://partner.example/in", data=BODY).prepare()
    (sent,) = list(protocol.flow(request))
    assert "webhook-signature" not in request.headers
    headers = {name: sent.headers[name] for name in ("webhook-id", "webhook-timestamp", "webhook-signature")}
    assert deliver("standard", headers).status_code == 200
