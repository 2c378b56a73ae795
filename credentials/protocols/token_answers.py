"""Reads what a token endpoint answers (https://www.rfc-editor.org/rfc/rfc6749#section-5).

Nothing that the endpoint wrote gets into an error text: some endpoints repeat the secret that they refuse.
"""

import json
import re
from typing import Any

from django.views.decorators.debug import sensitive_variables
from requests import Response, codes

from credentials.errors import TokenAnswerBroken, TokenEndpointFailed, TokenEndpointRefused, TokenTypeUnsupported
from credentials.tokens import TokenAnswer
from isthmus.vault.errors import SecretRefused
from isthmus.vault.secret import Secret

__all__ = ["read_token_answer"]

# The characters of a bearer token, https://www.rfc-editor.org/rfc/rfc6750#section-2.1, and `!` of Salesforce's.
_TOKEN = re.compile(r"[A-Za-z0-9._~+/!-]+=*", re.ASCII)
_MAXIMUM_TOKEN_LENGTH = 16_000
_MAXIMUM_LIFETIME_SECONDS = 10 * 366 * 24 * 3600
_MAYBE_LATER = {codes.request_timeout, codes.too_early, codes.too_many_requests}
# https://www.rfc-editor.org/rfc/rfc6749#section-5.2
_ERRORS = {
    "invalid_request": "it takes the request for malformed",
    "invalid_client": "it does not accept the client id and secret",
    "invalid_grant": "it does not accept the grant",
    "unauthorized_client": "this client may not use this grant type",
    "unsupported_grant_type": "it does not know this grant type",
    "invalid_scope": "it does not accept the scope",
}


@sensitive_variables()
def read_token_answer(response: Response) -> TokenAnswer:
    """Return the token in an answer.

    Raises `TokenEndpointFailed` (may work later), `TokenEndpointRefused`, `TokenAnswerBroken` or
    `TokenTypeUnsupported`.
    """
    status = response.status_code
    if status >= codes.internal_server_error or status in _MAYBE_LATER:
        raise TokenEndpointFailed(f"The token endpoint answered with status {status}.")
    answer = _json_object(response)
    if status >= codes.bad_request:
        raise TokenEndpointRefused(_refusal(status, answer), is_grant_invalid=_error_of(answer) == "invalid_grant")
    if status >= codes.multiple_choices:
        raise TokenAnswerBroken(f"The token endpoint answered with a redirect ({status}). Check the token URL.")
    if answer is None:
        raise TokenAnswerBroken("The token endpoint's answer is no JSON object. Check the token URL.")
    scope = answer.get("scope")
    return TokenAnswer(
        access_token=_access_token(answer),
        expires_in_seconds=_lifetime(answer),
        refresh_token=_refresh_token(answer),
        scope=scope if isinstance(scope, str) else "",
    )


@sensitive_variables()
def _json_object(response: Response) -> dict[str, Any] | None:
    try:
        answer = json.loads(response.content)
    except (ValueError, RecursionError):
        return None
    return answer if isinstance(answer, dict) else None


def _refusal(status: int, answer: dict[str, Any] | None) -> str:
    error = _error_of(answer)
    meaning = _ERRORS.get(error)
    told = f"{error}: {meaning}" if meaning else "it gives no known reason"
    return f"The token endpoint refused with status {status} ({told}). Check the principal's secrets."


def _error_of(answer: dict[str, Any] | None) -> str:
    error = (answer or {}).get("error")
    return error if isinstance(error, str) else ""


@sensitive_variables()
def _refresh_token(answer: dict[str, Any]) -> Secret | None:
    text = answer.get("refresh_token")
    if text is None or text == "":
        return None
    # https://www.rfc-editor.org/rfc/rfc6749#appendix-A.17: any visible ASCII character.
    if not isinstance(text, str) or len(text) > _MAXIMUM_TOKEN_LENGTH or not all(" " <= each <= "~" for each in text):
        raise TokenAnswerBroken(
            "The token endpoint's refresh_token holds characters that no token has, or is too long."
        )
    try:
        return Secret(text)
    except SecretRefused:
        raise TokenAnswerBroken("The token endpoint's refresh_token is masked.") from None


@sensitive_variables()
def _access_token(answer: dict[str, Any]) -> Secret:
    text = answer.get("access_token")
    if not isinstance(text, str) or not text:
        raise TokenAnswerBroken("The token endpoint's answer holds no access_token.")
    token_type = answer.get("token_type", "Bearer")
    if not isinstance(token_type, str) or token_type.lower() != "bearer":
        raise TokenTypeUnsupported
    if len(text) > _MAXIMUM_TOKEN_LENGTH or not _TOKEN.fullmatch(text):
        raise TokenAnswerBroken("The token endpoint's access_token holds characters that no token has, or is too long.")
    try:
        return Secret(text)
    except SecretRefused:
        raise TokenAnswerBroken("The token endpoint's access_token is masked.") from None


def _lifetime(answer: dict[str, Any]) -> int | None:
    """Return `expires_in` in seconds; some endpoints write the number as a text."""
    given = answer.get("expires_in")
    if isinstance(given, bool) or not isinstance(given, int | float | str):
        return None
    try:
        seconds = int(float(given))
    except (ValueError, OverflowError):
        return None
    return min(seconds, _MAXIMUM_LIFETIME_SECONDS) if seconds >= 0 else None
