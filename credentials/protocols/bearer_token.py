"""Base of the protocols that fetch an access token and send it with each request (https://www.rfc-editor.org/rfc/rfc6750).

One flow at a time fetches; the others use the token that is still good, or wait for the new one. Those that waited
for a token request which failed fail like it, instead of asking the endpoint one after another.
"""

from collections.abc import Generator
from datetime import timedelta
from typing import ClassVar, TypeAlias

from django.views.decorators.debug import sensitive_variables
from requests import PreparedRequest, Response, codes

from credentials.conf import options
from credentials.errors import (
    AuthenticationFailed,
    CredentialRefused,
    TokenEndpointFailed,
    TokenNeedsCommit,
    TokenWaitTimedOut,
)
from credentials.protocols.base import AuthenticationProtocol, RequestFlow, TokenRequest, signed_copy
from credentials.protocols.token_answers import read_token_answer
from credentials.tokens import AccessToken, Claim, Held, TokenAnswer
from isthmus import clock
from isthmus.errors import IsthmusError
from isthmus.logs import get_logger
from isthmus.vault.errors import VaultError
from isthmus.vault.secret import Secret

__all__ = ["BearerTokenProtocol"]

log = get_logger(__name__)

_TokenFlow: TypeAlias = Generator[PreparedRequest, Response, AccessToken]


class BearerTokenProtocol(AuthenticationProtocol):
    """Fetches tokens, keeps them, replaces them ahead of their end and once after a 401.

    One request brings the token of most protocols: they say which in `token_request`. The others replace `fetch`.
    """

    needs_commit: ClassVar[bool] = False
    """Whether what fetching brings must be committed at once, because the other side gives it only once."""

    def token_request(self) -> TokenRequest:
        """Return the request that brings a new token."""
        raise NotImplementedError(f"{type(self).__name__} has neither token_request nor fetch.")

    def fetch(self) -> Generator[PreparedRequest, Response, TokenAnswer]:
        """Yield the requests that lead to a new token and return it. Raises errors of `AuthenticationFailed`."""
        return read_token_answer((yield self.token_request()))

    def signed(self, request: PreparedRequest, token: AccessToken) -> PreparedRequest:
        """Return a copy of the request that bears the token."""
        return signed_copy(request, _bearer(token.text))

    def current_token(self) -> Generator[PreparedRequest, Response, AccessToken]:
        """Yield what must be asked and return a usable token."""
        return (yield from self._token(self.tokens.held()))

    def flow(self, request: PreparedRequest) -> RequestFlow:
        first_seen = self.tokens.recall()
        recalled = _usable(first_seen, None) if first_seen else None
        if first_seen and recalled and not _is_due(recalled, first_seen):
            token = recalled
        else:
            first_seen = self.tokens.held()
            token = yield from self._token(first_seen)
        response = yield self.signed(request, token)
        # A token that was fetched for this very request is not stale: another would be refused like it.
        is_new = token.generation > first_seen.generation
        if response.status_code == codes.unauthorized and not is_new and _is_repeatable(request):
            token = yield from self._token(self.tokens.held(), rejected=token)
            yield self.signed(request, token)

    def _token(self, first_seen: Held, *, rejected: AccessToken | None = None) -> _TokenFlow:
        """Return a usable token, newer than `rejected`."""
        held = first_seen
        turns = 0
        while True:
            usable = _usable(held, rejected)
            if usable and not _is_due(usable, held):
                return usable
            if held.failure and not usable and held.generation > first_seen.generation:
                raise held.failure
            if self.needs_commit and self.tokens.is_in_transaction():
                # The caller's transaction may yet be rolled back, and with it the only copy of what was fetched.
                if usable:
                    return usable
                raise TokenNeedsCommit
            claim = self.tokens.claim(held)
            if claim:
                return (yield from self._fetched(claim, usable))
            if usable:
                return usable
            if not self.tokens.wait(turns):
                raise TokenWaitTimedOut
            turns += 1
            held = self.tokens.held()

    def _fetched(self, claim: Claim, usable: AccessToken | None) -> _TokenFlow:
        """Fetch a token under `claim`; if that fails, `usable` (a token near its end) does once more."""
        try:
            answer = yield from self.fetch()
        except (VaultError, CredentialRefused):
            # Something here must change first; the other side was not asked, so it has not failed.
            self.tokens.release(claim)
            raise
        except Exception as error:
            failure = _as_failure(error)
            self.tokens.fail(claim, failure)
            log.warning("credentials.token_request_failed", code=failure.code, has_usable_token=usable is not None)
            if usable is None:
                raise
            return usable
        except BaseException:
            # The driver closed the flow, or the process is ending: nothing was asked, so nothing failed.
            self.tokens.release(claim)
            raise
        return self.tokens.keep(claim, answer)


def _usable(held: Held, rejected: AccessToken | None) -> AccessToken | None:
    """Return the held token unless its time is over or it is the rejected one."""
    token = held.token
    if token is None or token.expires_at <= clock.now():
        return None
    return None if rejected and token.generation <= rejected.generation else token


def _is_due(token: AccessToken, held: Held) -> bool:
    """Return whether a token that still works should be replaced already."""
    now = clock.now()
    # Half the lifetime at most: a token that lives for a minute would otherwise be due as soon as it comes.
    ahead = min(timedelta(seconds=options.token_refresh_ahead_seconds), (token.expires_at - token.obtained_at) / 2)
    if token.expires_at - now > ahead:
        return False
    retry_delay = timedelta(seconds=options.token_retry_delay_seconds)
    return held.failed_at is None or now - held.failed_at >= retry_delay


def _as_failure(error: Exception) -> AuthenticationFailed:
    """Return what to record for an error that the token request ended with, or that its driver threw."""
    if isinstance(error, AuthenticationFailed):
        return error
    # Only the code of an error of ours: the text of another may hold an address with a secret.
    code = error.code if isinstance(error, IsthmusError) else type(error).__name__
    return TokenEndpointFailed(f"The token endpoint gave no answer ({code}).")


def _is_repeatable(request: PreparedRequest) -> bool:
    """Return whether the body can be sent a second time (a stream is used up)."""
    return request.body is None or isinstance(request.body, bytes | str)


@sensitive_variables()
def _bearer(token: Secret) -> str:
    return f"Bearer {token.reveal()}"
