"""AWS Signature Version 4 (https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv.html), by botocore's signer.

With a role to assume, temporary keys are fetched from the Security Token Service and kept like an access token.
"""

import json
import re
from collections.abc import Generator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit
from xml.etree import ElementTree as ET

from django.views.decorators.debug import sensitive_variables
from requests import PreparedRequest, Response, codes

from credentials.errors import SettingsRefused, TokenAnswerBroken, TokenEndpointFailed, TokenEndpointRefused
from credentials.protocols.base import RequestFlow, TokenRequest
from credentials.protocols.bearer_token import BearerTokenProtocol
from credentials.protocols.options import ProtocolOption, SettingValue
from credentials.tokens import AccessToken, TokenAnswer
from isthmus import clock
from isthmus.vault.secret import Secret

if TYPE_CHECKING:
    from botocore.credentials import Credentials

__all__ = ["AwsSignatureV4"]

_STS_VERSION = "2011-06-15"
_XMLNS = {"sts": "https://sts.amazonaws.com/doc/2011-06-15/"}
# https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html
_SESSION_NAME = re.compile(r"[\w+=,.@-]{2,64}", re.ASCII)
_ROLE = re.compile(r"arn:[\w-]+:iam::\d{12}:role/[\w+=,.@/-]{1,512}", re.ASCII)
_NAME = re.compile(r"[a-z0-9-]{1,64}", re.ASCII)
_MAYBE_LATER = {codes.request_timeout, codes.too_many_requests}


def _is_name(text: SettingValue) -> str | None:
    return None if _NAME.fullmatch(str(text)) else "Lower-case letters, digits and hyphens, as in `us-east-1`."


class AwsSignatureV4(BearerTokenProtocol):
    """Signs each request with an access key, or with temporary keys of an assumed role."""

    name = "aws_signature_v4"
    label = "AWS Signature Version 4"
    options = (
        ProtocolOption(
            name="service",
            label="Service",
            is_required=True,
            validate=_is_name,
            help_text="`sqs`, `execute-api`, `s3` …",
        ),
        ProtocolOption(name="region", label="Region", is_required=True, validate=_is_name, help_text="`eu-central-1`"),
        ProtocolOption(
            name="sign_payload",
            label="Sign the body",
            type="checkbox",
            default=True,
            help_text="Off: `UNSIGNED-PAYLOAD`, over https only, for services that take it.",
        ),
        ProtocolOption(
            name="role_arn",
            label="Role to assume",
            validate=lambda arn: (
                None if _ROLE.fullmatch(str(arn)) else "A role is `arn:aws:iam::123456789012:role/Name`."
            ),
            help_text="Empty: the access key itself signs.",
        ),
        ProtocolOption(
            name="role_session_name",
            label="Session name",
            default="isthmus",
            validate=lambda name: None if _SESSION_NAME.fullmatch(str(name)) else "2 to 64 letters, digits and +=,.@-_",
        ),
        ProtocolOption(
            name="external_id", label="External id", help_text="Where the role's trust policy asks for one."
        ),
        ProtocolOption(
            name="duration_seconds",
            label="Lifetime of the temporary keys in seconds",
            type="number",
            default=3600,
            validate=lambda seconds: None if 900 <= int(seconds) <= 43200 else "A lifetime is 900 to 43200 seconds.",
        ),
        ProtocolOption(
            name="sts_url",
            label="Address of the Security Token Service",
            type="url",
            help_text="Empty: the region's, https://sts.<region>.amazonaws.com/.",
        ),
        ProtocolOption(name="access_key_id", label="Access key id", is_required=True, is_sensitive=True),
        ProtocolOption(name="secret_access_key", label="Secret access key", is_required=True, is_sensitive=True),
        ProtocolOption(
            name="session_token", label="Session token", is_sensitive=True, help_text="With temporary keys only."
        ),
    )

    @classmethod
    def refuse_settings(cls, settings: Mapping[str, SettingValue]) -> None:
        if settings["role_arn"] and not settings["role_session_name"]:
            raise SettingsRefused("An assumed role needs a session name.", fields=["role_session_name"])

    def flow(self, request: PreparedRequest) -> RequestFlow:
        if self.settings["role_arn"]:
            yield from super().flow(request)
        else:
            yield self._signed_with(request, self._own_keys())

    @sensitive_variables()
    def signed(self, request: PreparedRequest, token: AccessToken) -> PreparedRequest:
        return self._signed_with(request, _credentials(**json.loads(token.text.reveal())))

    def fetch(self) -> Generator[PreparedRequest, Response, TokenAnswer]:
        return _read_assumed_role((yield self._assume_role()))

    @sensitive_variables()
    def _assume_role(self) -> TokenRequest:
        fields = {
            "Action": "AssumeRole",
            "Version": _STS_VERSION,
            "RoleArn": self.settings["role_arn"],
            "RoleSessionName": self.settings["role_session_name"],
            "DurationSeconds": self.settings["duration_seconds"],
            "ExternalId": self.settings["external_id"],
        }
        region = str(self.settings["region"])
        request = TokenRequest()
        request.prepare(
            method="POST",
            url=str(self.settings["sts_url"]) or f"https://sts.{region}.amazonaws.com/",
            headers={"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"},
            data=urlencode({name: value for name, value in fields.items() if value}),
        )
        _sign(request, self._own_keys(), "sts", region, sign_payload=True)
        return request

    @sensitive_variables()
    def _signed_with(self, request: PreparedRequest, keys: "Credentials") -> PreparedRequest:
        signed = request.copy()
        _sign(
            signed,
            keys,
            str(self.settings["service"]),
            str(self.settings["region"]),
            sign_payload=bool(self.settings["sign_payload"]),
        )
        return signed

    @sensitive_variables()
    def _own_keys(self) -> "Credentials":
        return _credentials(
            self.secrets["access_key_id"].reveal(),
            self.secrets["secret_access_key"].reveal(),
            self.secrets["session_token"].reveal() if "session_token" in self.secrets else None,
        )


@sensitive_variables()
def _credentials(access_key: str, secret_key: str, token: str | None = None) -> "Credentials":
    # Imported when it is first needed: botocore takes a tenth of a second, and few processes sign for AWS.
    from botocore.credentials import Credentials

    return Credentials(access_key, secret_key, token)


@sensitive_variables()
def _sign(request: PreparedRequest, keys: "Credentials", service: str, region: str, *, sign_payload: bool) -> None:
    from botocore.auth import S3SigV4Auth, SigV4Auth
    from botocore.awsrequest import AWSRequest
    from botocore.config import Config

    # `Authorization` of the caller would be signed and then replaced.
    kept = {name: value for name, value in request.headers.items() if name.lower() != "authorization"}
    request.url = _strictly_encoded(str(request.url))
    made = AWSRequest(method=request.method, url=request.url, data=request.body, headers=kept)
    is_body_signed = sign_payload or not request.url.startswith("https:")
    made.context["payload_signing_enabled"] = is_body_signed
    if service == "s3":
        made.context["client_config"] = Config(s3={"payload_signing_enabled": is_body_signed})
        S3SigV4Auth(keys, service, region).add_auth(made)
    else:
        SigV4Auth(keys, service, region).add_auth(made)
    request.headers.clear()
    request.headers.update(dict(made.headers.items()))


def _strictly_encoded(url: str) -> str:
    """Return the address with its query encoded as the signature's rules read it: no `+` for a blank, for one."""
    parts = urlsplit(url)
    pairs = parse_qsl(parts.query, keep_blank_values=True)
    query = "&".join(f"{quote(name, safe='-_.~')}={quote(value, safe='-_.~')}" for name, value in pairs)
    return urlunsplit(parts._replace(query=query))


@sensitive_variables()
def _read_assumed_role(response: Response) -> TokenAnswer:
    if response.status_code >= codes.internal_server_error or response.status_code in _MAYBE_LATER:
        raise TokenEndpointFailed(f"The Security Token Service answered with status {response.status_code}.")
    if response.status_code != codes.ok:
        raise TokenEndpointRefused(
            f"The Security Token Service refused with status {response.status_code}. Check the access key, the role "
            "and its trust policy."
        )
    found = _assumed_keys(response)
    if not all(found.get(name) for name in ("AccessKeyId", "SecretAccessKey", "SessionToken", "Expiration")):
        raise TokenAnswerBroken("The Security Token Service's answer holds no temporary keys. Check its address.")
    try:
        ends = datetime.fromisoformat(found["Expiration"])
    except ValueError:
        raise TokenAnswerBroken("The Security Token Service's answer has an unreadable end.") from None
    keys = {
        "access_key": found["AccessKeyId"],
        "secret_key": found["SecretAccessKey"],
        "token": found["SessionToken"],
    }
    seconds = int((ends - clock.now()).total_seconds())
    return TokenAnswer(access_token=Secret(json.dumps(keys)), expires_in_seconds=max(0, seconds))


def _assumed_keys(response: Response) -> dict[str, Any]:
    try:
        # The egress gate caps the size, and expat refuses entities that grow (since 2.4.1).
        root = ET.fromstring(response.content)  # noqa: S314
    except ET.ParseError:
        return {}
    node = root.find(".//sts:Credentials", _XMLNS)
    return {} if node is None else {child.tag.rpartition("}")[2]: (child.text or "").strip() for child in node}
