"""Access tokens as the protocols see them. Where they are kept is behind `TokenStore` (see `token_store`)."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

from credentials.errors import AuthenticationFailed
from isthmus.vault.secret import Secret

__all__ = ["AccessToken", "Claim", "Held", "TokenAnswer", "TokenStore"]


@dataclass(frozen=True, kw_only=True)
class TokenAnswer:
    """What a token endpoint gave."""

    access_token: Secret
    expires_in_seconds: int | None
    """`None` when the endpoint did not say."""
    refresh_token: Secret | None = None
    """`None` when the endpoint gave none: the one that is held goes on."""
    scope: str = ""


@dataclass(frozen=True, kw_only=True)
class AccessToken:
    """A bearer token that is kept."""

    text: Secret
    obtained_at: datetime
    expires_at: datetime
    generation: int
    """Tokens of one principal are numbered upwards; a rejected token is replaced by one with a higher number."""


@dataclass(frozen=True, kw_only=True)
class Held:
    """What the store holds at one moment."""

    generation: int
    """How many token requests have ended."""
    token: AccessToken | None
    failure: AuthenticationFailed | None
    """Why the last token request failed; `None` when it did not."""
    failed_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class Claim:
    """The right to fetch the next token, for as long as its lease lasts."""

    holder: UUID
    generation: int
    """The generation when the claim was made: what ends it is numbered one higher."""


class TokenStore(Protocol):
    """Keeps the tokens of one principal (or one user at it), and lets one flow at a time fetch the next."""

    def held(self) -> Held:
        """Return what is held now."""

    def recall(self) -> Held | None:
        """Return what was held a moment ago, `None` when nobody has looked since. Good for using a token that works;
        before fetching one, ask `held`.
        """

    def claim(self, seen: Held) -> Claim | None:
        """Claim the next token request; `None` when another holds the claim, or when `seen` is out of date."""

    def keep(self, claim: Claim, answer: TokenAnswer) -> AccessToken:
        """Keep what the claimed token request brought, and end the claim."""

    def fail(self, claim: Claim, error: AuthenticationFailed) -> None:
        """Record why the claimed token request failed, and end the claim."""

    def release(self, claim: Claim) -> None:
        """End the claim: no token request was made."""

    def refresh_tokens(self) -> list[Secret]:
        """Return the refresh tokens that are held: the newest, then the one before it."""

    def is_in_transaction(self) -> bool:
        """Return whether what is kept now is committed only when a transaction around it is."""

    def wait(self, waited_turns: int) -> bool:
        """Wait a moment for whoever holds the claim. `False` when the flow has waited long enough."""
