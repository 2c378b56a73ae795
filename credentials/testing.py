"""For tests of protocols and of what uses them: a token store in memory, and a driver over a plain function."""

from collections.abc import Callable
from datetime import datetime, timedelta

from requests import PreparedRequest, Response

from credentials.conf import options
from credentials.errors import AuthenticationFailed
from credentials.protocols.base import AuthenticationFlow
from credentials.tokens import AccessToken, Claim, Held, TokenAnswer
from isthmus import clock, ids
from isthmus.vault.secret import Secret

__all__ = ["InMemoryTokenStore", "drive"]


def drive(
    authentication: AuthenticationFlow, request: PreparedRequest, send: Callable[[PreparedRequest], Response]
) -> Response:
    """Return the last answer of the flow; what `send` raises is thrown into the flow."""
    flow = authentication.flow(request)
    outgoing = next(flow)
    while True:
        answer: Response | None = None
        try:
            answer = send(outgoing)
        except OSError as error:
            outgoing = flow.throw(error)
            continue
        try:
            outgoing = flow.send(answer)
        except StopIteration:
            return answer


class InMemoryTokenStore:
    """A `TokenStore` for one thread: nobody else ever holds the claim unless a test says so with `claimed_until`."""

    def __init__(self) -> None:
        self.generation = 0
        self.token: AccessToken | None = None
        self.failure: AuthenticationFailed | None = None
        self.failed_at: datetime | None = None
        self.holder: Claim | None = None
        self.claimed_until: datetime | None = None
        self.refresh: list[Secret] = []

    def held(self) -> Held:
        return Held(generation=self.generation, token=self.token, failure=self.failure, failed_at=self.failed_at)

    def recall(self) -> Held | None:
        """Nothing is remembered: looking costs nothing here."""
        return None

    def claim(self, seen: Held) -> Claim | None:
        now = clock.now()
        if seen.generation != self.generation or (self.claimed_until is not None and self.claimed_until > now):
            return None
        self.holder = Claim(holder=ids.new_uuid(), generation=self.generation)
        self.claimed_until = now + timedelta(seconds=options.token_refresh_lease_seconds)
        return self.holder

    def keep(self, claim: Claim, answer: TokenAnswer) -> AccessToken:
        seconds = answer.expires_in_seconds
        now = clock.now()
        self.token = AccessToken(
            text=answer.access_token,
            obtained_at=now,
            expires_at=now + timedelta(seconds=options.token_default_lifetime_seconds if seconds is None else seconds),
            generation=claim.generation + 1,
        )
        if answer.refresh_token is not None:
            self.refresh = [answer.refresh_token, *self.refresh[:1]]
        self._end(failure=None)
        return self.token

    def fail(self, claim: Claim, error: AuthenticationFailed) -> None:
        self._end(failure=error)

    def release(self, claim: Claim) -> None:
        self.holder = self.claimed_until = None

    def refresh_tokens(self) -> list[Secret]:
        """Return what tests put into `refresh`, the newest first."""
        return list(self.refresh)

    def is_in_transaction(self) -> bool:
        """Memory is committed at once."""
        return False

    def wait(self, waited_turns: int) -> bool:
        """Never waits: in one thread there is nobody to wait for."""
        return False

    def _end(self, *, failure: AuthenticationFailed | None) -> None:
        self.generation += 1
        self.failure = failure
        self.failed_at = clock.now() if failure else None
        self.holder = self.claimed_until = None
