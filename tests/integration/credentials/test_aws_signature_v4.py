"""AWS signatures: accepted by a server that verifies them, equal to AWS's published example, refused when tampered."""

import json
import shutil
import socket
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlencode

import pytest
import requests

from callouts import http
from credentials.actions import create_external_credential, create_named_credential, create_principal
from credentials.errors import SettingsRefused, TokenAnswerBroken, TokenEndpointFailed, TokenEndpointRefused
from credentials.models import StoredToken
from credentials.protocols import aws_signature_v4
from credentials.protocols.aws_signature_v4 import AwsSignatureV4
from credentials.protocols.base import AuthenticationContext
from credentials.protocols.options import cleaned_settings
from credentials.testing import InMemoryTokenStore
from isthmus.vault.secret import Secret

ROLE = "arn:aws:iam::123456789012:role/Caller"
POLICY = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}],
}

ASSUMED = (
    b'<R xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Credentials><AccessKeyId>a</AccessKeyId><SecretAccessKey>s'
    b"</SecretAccessKey><SessionToken>t</SessionToken><Expiration>%s</Expiration></Credentials></R>"
)


class Moto:
    """moto's server with signature checks on, and one user who may do everything."""

    def __init__(self):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"

    def __enter__(self):
        command = shutil.which("moto_server", path=str(Path(sys.executable).parent))
        self._process = subprocess.Popen(
            [command, "-H", "127.0.0.1", "-p", str(self.port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        self._wait()
        self.ask("iam", Action="CreateUser", UserName="caller", Version="2010-05-08")
        self.ask(
            "iam",
            Action="PutUserPolicy",
            UserName="caller",
            PolicyName="all",
            PolicyDocument=json.dumps(POLICY),
            Version="2010-05-08",
        )
        self.ask(
            "iam",
            Action="CreateRole",
            RoleName="Caller",
            AssumeRolePolicyDocument=json.dumps(TRUST),
            Version="2010-05-08",
        )
        self.ask(
            "iam",
            Action="PutRolePolicy",
            RoleName="Caller",
            PolicyName="all",
            PolicyDocument=json.dumps(POLICY),
            Version="2010-05-08",
        )
        made = self.ask("iam", Action="CreateAccessKey", UserName="caller", Version="2010-05-08")
        self.access_key_id = made.split("<AccessKeyId>")[1].split("<")[0]
        self.secret_access_key = made.split("<SecretAccessKey>")[1].split("<")[0]
        self.ask("sqs", Action="CreateQueue", QueueName="orders", Version="2012-11-05")
        requests.post(f"{self.url}/moto-api/reset-auth", data="0", timeout=10).raise_for_status()  # noqa: TID251 - a caller from outside
        return self

    def __exit__(self, *_):
        self._process.kill()
        self._process.wait()

    def ask(self, service, **fields):
        """Ask unsigned: before the checks are switched on, everything is taken."""
        scope = f"AWS4-HMAC-SHA256 Credential=x/20260101/us-east-1/{service}/aws4_request"
        answer = requests.post(self.url, data=fields, headers={"Authorization": scope}, timeout=30)  # noqa: TID251 - a caller from outside
        answer.raise_for_status()
        return answer.text

    def _wait(self):
        for _ in range(300):
            try:
                requests.get(f"{self.url}/moto-api/data.json", timeout=5)  # noqa: TID251 - a caller from outside
            except requests.ConnectionError:
                time.sleep(0.1)
            else:
                return
        raise RuntimeError("moto did not start.")


@pytest.fixture(scope="module")
def moto():
    with Moto() as server:
        yield server


@pytest.fixture
def queue(db, moto):
    """`callout:Queue/…`, signed for SQS."""

    def make(settings=None, **secrets):
        external = create_external_credential(
            "Aws", protocol="aws_signature_v4", settings={"service": "sqs", "region": "us-east-1", **(settings or {})}
        )
        principal = create_principal(
            external,
            "Main",
            secrets={
                "access_key_id": moto.access_key_id,
                "secret_access_key": moto.secret_access_key,
                **secrets,
            },
        )
        create_named_credential(
            "Queue", url=moto.url, external_credential=external, principal=principal, allow_internal_addresses=True
        )
        return principal

    return make


def send(**more):
    fields = {
        "Action": "SendMessage",
        "QueueUrl": "orders",
        "MessageBody": "Grüße & 100% + = ~",
        "Version": "2012-11-05",
        **more,
    }
    return http.post(
        "callout:Queue/123456789012/orders",
        data=urlencode(fields),
        headers={"Content-Type": "application/x-www-form-urlencoded"},
    )


def test_a_signed_message_is_accepted(queue):
    queue()
    answer = send()
    assert answer.status_code == 200
    assert "MessageId" in answer.text


def test_a_wrong_secret_key_is_refused_by_the_server(queue):
    queue(secret_access_key="wrong")
    assert send().status_code == 403


def test_a_role_is_assumed_once_and_its_keys_are_kept(queue, moto, django_capture_on_commit_callbacks):
    queue({"role_arn": ROLE, "sts_url": f"{moto.url}/"})
    with django_capture_on_commit_callbacks(execute=True):
        assert send().status_code == 200
    kept = StoredToken.objects.get()
    keys = json.loads(kept.access_token.reveal())
    assert set(keys) == {"access_key", "secret_key", "token"}
    assert 3000 < (kept.expires_at - kept.obtained_at).total_seconds() <= 3600
    assert send().status_code == 200
    assert StoredToken.objects.get().token_generation == kept.token_generation


def test_a_role_that_may_not_be_assumed_is_told(queue, moto):
    queue({"role_arn": ROLE, "sts_url": f"{moto.url}/"}, secret_access_key="wrong-canary")
    with pytest.raises(TokenEndpointRefused, match="trust policy") as caught:
        send()
    assert "canary" not in str(caught.value)


# --- without a server -------------------------------------------------------------------------------------------------
def signer(settings, **secrets):
    keys = {"access_key_id": "AKIDEXAMPLE", "secret_access_key": "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", **secrets}
    return AwsSignatureV4(
        AuthenticationContext(
            settings=cleaned_settings(AwsSignatureV4.options, settings),
            secrets={name: Secret(value) for name, value in keys.items()},
            tokens=InMemoryTokenStore(),
        )
    )


def signed(protocol, request):
    return next(protocol.flow(request))


@pytest.mark.parametrize(
    ("method", "url", "headers", "signature"),
    [
        # From AWS's published test suite (get-vanilla, post-vanilla, get-vanilla-query-order-key-case): service
        # `service`, region us-east-1, 30 August 2015, 12:36:00 UTC. The suite's signatures are for the headers `host`
        # and `x-amz-date` alone.
        ("GET", "/", {}, "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"),
        ("POST", "/", {}, "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"),
        (
            "GET",
            "/?Param2=value2&Param1=value1",
            {},
            "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
        ),
    ],
)
def test_awss_published_examples(method, url, headers, signature, monkeypatch):
    import botocore.auth

    # botocore takes its time from a function of its own; the examples are of one moment.
    monkeypatch.setattr(botocore.auth, "get_current_datetime", lambda **_: datetime(2015, 8, 30, 12, 36, tzinfo=UTC))
    request = requests.PreparedRequest()
    request.prepare(method=method, url=f"https://example.amazonaws.com{url}", headers=headers)
    request.headers.pop("Content-Length", None)
    made = signed(signer({"service": "service", "region": "us-east-1"}), request)
    assert made.headers["Authorization"] == (
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, "
        f"SignedHeaders=host;x-amz-date, Signature={signature}"
    )


def test_a_query_with_awkward_characters_is_signed_as_it_is_sent(monkeypatch):
    """botocore encodes parameters itself when it is given them; given an address, it signs what stands there."""
    import botocore.auth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials

    moment = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    monkeypatch.setattr(botocore.auth, "get_current_datetime", lambda **_: moment)
    fields = {"b": "a b+c/ü~*'()", "a": "%2F", "empty": ""}
    made = signed(
        signer({"service": "sqs", "region": "us-east-1"}),
        requests.Request("GET", "https://sqs.example/q", params=fields).prepare(),
    )
    theirs = AWSRequest(method="GET", url="https://sqs.example/q", params=fields)
    keys = Credentials("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")
    botocore.auth.SigV4Auth(keys, "sqs", "us-east-1").add_auth(theirs)
    assert made.headers["Authorization"] == theirs.headers["Authorization"]
    assert made.url == "https://sqs.example/q?b=a%20b%2Bc%2F%C3%BC~%2A%27%28%29&a=%252F&empty="


def request_to(url="https://s3.example/bucket/key", body=b"data"):
    return requests.Request("PUT", url, data=body, headers={"Authorization": "theirs"}).prepare()


def test_a_session_token_goes_along_and_the_callers_own_authorization_does_not():
    made = signed(signer({"service": "sqs", "region": "eu-central-1"}, session_token="temporary"), request_to())
    assert made.headers["X-Amz-Security-Token"] == "temporary"
    assert "theirs" not in str(made.headers)


def test_the_body_may_be_left_unsigned_over_https():
    made = signed(signer({"service": "s3", "region": "eu-central-1", "sign_payload": False}), request_to())
    assert made.headers["X-Amz-Content-SHA256"] == "UNSIGNED-PAYLOAD"


def test_a_body_over_http_is_always_signed():
    unsigned = signer({"service": "s3", "region": "eu-central-1", "sign_payload": False})
    made = signed(unsigned, request_to("http://s3.internal/bucket/key"))
    assert made.headers["X-Amz-Content-SHA256"] != "UNSIGNED-PAYLOAD"


def test_the_request_that_was_given_stays_as_it_was():
    request = request_to()
    signed(signer({"service": "sqs", "region": "eu-central-1"}), request)
    assert request.headers["Authorization"] == "theirs"


@pytest.mark.parametrize(
    "settings",
    [
        {"service": "SQS", "region": "r"},
        {"service": "sqs", "region": "eu central"},
        {"service": "sqs", "region": "r", "role_arn": "Caller"},
        {"service": "sqs", "region": "r", "role_session_name": "a b"},
        {"service": "sqs", "region": "r", "duration_seconds": 60},
    ],
)
def test_settings_that_aws_would_refuse_are_refused_here(settings):
    with pytest.raises(SettingsRefused):
        cleaned_settings(AwsSignatureV4.options, settings)


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (500, b"", TokenEndpointFailed),
        (403, b"<ErrorResponse/>", TokenEndpointRefused),
        (200, b"<html>", TokenAnswerBroken),
        (200, b"<AssumeRoleResponse/>", TokenAnswerBroken),
        (
            200,
            ASSUMED % b"soon",
            TokenAnswerBroken,
        ),
    ],
)
def test_an_answer_that_is_no_keys_is_told(status, body, error):
    answer = requests.Response()
    answer.status_code = status
    answer._content = body
    with pytest.raises(error):
        aws_signature_v4._read_assumed_role(answer)


def test_an_entity_bomb_in_the_answer_is_refused():
    lol = "".join(f'<!ENTITY l{i} "{f"&l{i - 1};" * 10 if i else "lol"}">' for i in range(12))
    answer = requests.Response()
    answer.status_code = 200
    answer._content = f"<!DOCTYPE r [{lol}]><r>&l11;</r>".encode()
    with pytest.raises(TokenAnswerBroken):
        aws_signature_v4._read_assumed_role(answer)


def test_the_time_of_the_end_is_the_servers(moving_clock):
    answer = requests.Response()
    answer.status_code = 200
    answer._content = ASSUMED % b"2026-06-01T12:30:00Z"
    assert aws_signature_v4._read_assumed_role(answer).expires_in_seconds == 1800
    assert moving_clock.now() == datetime(2026, 6, 1, 12, tzinfo=UTC)
