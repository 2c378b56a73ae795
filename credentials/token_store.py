"""Keeps access tokens in the database, sealed, and lets one process at a time fetch the next.

The claim is one compare-and-set on the token's row, with a lease: whoever dies while fetching blocks the others for
the lease only. `generation` counts the token requests that ended, so that nobody acts on what they read before.

Inside an open transaction nothing is claimed or written before the commit: a claim would be invisible to others, and
on SQLite the waiting transaction would keep the holder from writing. Such a flow fetches a token of its own.
"""

import time
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.contrib.auth.models import User
from django.db import router, transaction
from django.db.models import DateTimeField, Q, QuerySet, Value
from django.db.models.functions import Coalesce

from credentials.conf import options
from credentials.errors import (
    AuthenticationFailed,
    TokenAnswerBroken,
    TokenEndpointFailed,
    TokenEndpointRefused,
    TokenTypeUnsupported,
)
from credentials.models import Principal, PrincipalKind, PrincipalStatus, StoredToken
from credentials.signals import connection_failed
from credentials.tokens import AccessToken, Claim, Held, TokenAnswer
from isthmus import clock, ids
from isthmus.vault.secret import Secret

__all__ = ["DatabaseTokenStore"]

_FAILURES = {
    failure.code: failure
    for failure in (TokenAnswerBroken, TokenEndpointFailed, TokenEndpointRefused, TokenTypeUnsupported)
}
_UNCLAIMED = UUID(int=0)
_WAIT_SECONDS = 0.05


class DatabaseTokenStore:
    """The tokens of `principal`, or of `user` at it (`None`: the principal's own)."""

    def __init__(self, principal: Principal, user: User | None) -> None:
        self._principal = principal
        self._user = user
        self._recent: tuple[float, Held] | None = None

    def held(self) -> Held:
        looked_at = clock.monotonic_seconds()
        found = self._looked_up()
        self._recent = (looked_at, found)
        return found

    def _looked_up(self) -> Held:
        row = self._rows().first()
        if row is None:
            return Held(generation=0, token=None, failure=None, failed_at=None)
        failure = _FAILURES.get(row.failure_code)
        return Held(
            generation=row.generation,
            token=_as_token(row),
            failure=failure(row.failure_reason) if failure else None,
            failed_at=row.failed_at,
        )

    def recall(self) -> Held | None:
        recent = self._recent
        is_fresh = recent is not None and clock.monotonic_seconds() - recent[0] < options.resolution_seconds
        return recent[1] if recent is not None and is_fresh else None

    def claim(self, seen: Held) -> Claim | None:
        if self.is_in_transaction():
            return Claim(holder=_UNCLAIMED, generation=seen.generation)
        now = clock.now()
        claim = Claim(holder=ids.new_uuid(), generation=seen.generation)
        row, _ = StoredToken.objects.get_or_create(principal=self._principal, user=self._user)
        is_free = Q(refresh_holder=None) | Q(refresh_lease_expires_at__lte=now)
        claimed = StoredToken.objects.filter(is_free, pk=row.pk, generation=seen.generation).update(
            refresh_holder=claim.holder,
            # Committed before anything is sent: whatever ends this process, it is known that an answer may be missing.
            in_doubt_since=Coalesce("in_doubt_since", Value(now, output_field=DateTimeField())),
            refresh_lease_expires_at=now + timedelta(seconds=options.token_refresh_lease_seconds),
        )
        return claim if claimed else None

    def keep(self, claim: Claim, answer: TokenAnswer) -> AccessToken:
        seconds = answer.expires_in_seconds
        lifetime = timedelta(seconds=options.token_default_lifetime_seconds if seconds is None else seconds)
        now = clock.now()
        self._recent = None
        token = AccessToken(
            text=answer.access_token, obtained_at=now, expires_at=now + lifetime, generation=claim.generation + 1
        )
        transaction.on_commit(lambda: self._keep(claim, token, answer), using=self._database)
        return token

    def fail(self, claim: Claim, error: AuthenticationFailed) -> None:
        transaction.on_commit(lambda: self._fail(claim, error), using=self._database)

    def release(self, claim: Claim) -> None:
        if claim.holder != _UNCLAIMED:
            self._claimed(claim).update(refresh_holder=None, refresh_lease_expires_at=None, in_doubt_since=None)

    def refresh_tokens(self) -> list[Secret]:
        row = self._rows().first()
        held = (row.refresh_token, row.previous_refresh_token) if row else ()
        return [token for token in held if token is not None]

    def is_in_transaction(self) -> bool:
        return bool(transaction.get_connection(self._database).in_atomic_block)

    def wait(self, waited_turns: int) -> bool:
        if waited_turns * _WAIT_SECONDS >= options.token_wait_seconds:
            return False
        time.sleep(_WAIT_SECONDS)
        return True

    @property
    def _database(self) -> str:
        return router.db_for_write(StoredToken)

    def _rows(self) -> QuerySet[StoredToken]:
        return StoredToken.objects.filter(principal=self._principal, user=self._user)

    def _claimed(self, claim: Claim) -> QuerySet[StoredToken]:
        """The row, if the claim (or, made inside a transaction, what it was made upon) still stands."""
        holder = None if claim.holder == _UNCLAIMED else claim.holder
        return self._rows().filter(refresh_holder=holder, generation=claim.generation)

    def _of_generation(self, claim: Claim) -> QuerySet[StoredToken]:
        """The row, if no token request has ended since the claim was made."""
        return self._rows().filter(generation=claim.generation)

    def connect(self, answer: TokenAnswer, *, connected_by: User) -> None:
        """Keep what a person's consent brought; whatever was held before is over."""
        now = clock.now()
        seconds = answer.expires_in_seconds
        lifetime = timedelta(seconds=options.token_default_lifetime_seconds if seconds is None else seconds)
        with transaction.atomic(using=self._database):
            row, _ = StoredToken.objects.select_for_update().get_or_create(principal=self._principal, user=self._user)
            row.access_token = answer.access_token
            row.refresh_token = answer.refresh_token
            row.previous_refresh_token = None
            row.scope = answer.scope
            row.connected_at, row.connected_by = now, connected_by
            row.obtained_at, row.expires_at = now, now + lifetime
            row.generation += 1
            row.token_generation = row.generation
            row.refresh_holder = row.refresh_lease_expires_at = row.in_doubt_since = row.failed_at = None
            row.failure_code = row.failure_reason = ""
            row.save()
            self._tell_principal(PrincipalStatus.AUTHENTICATED, "")

    def _keep(self, claim: Claim, token: AccessToken, answer: TokenAnswer) -> None:
        if claim.holder == _UNCLAIMED:
            StoredToken.objects.get_or_create(principal=self._principal, user=self._user)
        # A refresh token is given once. So it is kept even if the lease ran out and somebody else is fetching: they
        # used the token that has just been rotated away, and what they end with then counts for nothing.
        kept_rows = self._claimed(claim) if answer.refresh_token is None else self._of_generation(claim)
        row = kept_rows.first()
        if row is None:
            # The lease ran out and somebody else has fetched, or the secrets were replaced: theirs is the one to keep.
            return
        row.access_token = token.text
        rotated: dict[str, Any] = {}
        if answer.refresh_token is not None:
            # The one that was held is kept until the next refresh has shown that the new one works.
            row.previous_refresh_token, row.refresh_token = row.refresh_token, answer.refresh_token
            rotated = {
                "refresh_token": row.refresh_token.as_sealed(),
                "previous_refresh_token": row.previous_refresh_token and row.previous_refresh_token.as_sealed(),
            }
        kept = kept_rows.update(
            access_token=row.access_token.as_sealed(),
            **rotated,
            in_doubt_since=None,
            token_type="Bearer",  # noqa: S106 - a type, not a token
            obtained_at=token.obtained_at,
            expires_at=token.expires_at,
            generation=token.generation,
            token_generation=token.generation,
            refresh_holder=None,
            refresh_lease_expires_at=None,
            failure_code="",
            failure_reason="",
            failed_at=None,
        )
        if kept:
            self._tell_principal(PrincipalStatus.AUTHENTICATED, "")

    def _fail(self, claim: Claim, error: AuthenticationFailed) -> None:
        if claim.holder == _UNCLAIMED:
            StoredToken.objects.get_or_create(principal=self._principal, user=self._user)
        with transaction.atomic(using=self._database):
            row = self._claimed(claim).first()
            if row is None:
                return
            reason = self._reason(row, error)
            failed = self._claimed(claim).update(
                generation=claim.generation + 1,
                refresh_holder=None,
                refresh_lease_expires_at=None,
                # Without an answer it stays open whether the other side has acted.
                **({} if isinstance(error, TokenEndpointFailed) else {"in_doubt_since": None}),
                failure_code=error.code,
                failure_reason=reason,
                failed_at=clock.now(),
            )
            if failed:
                self._tell_principal(PrincipalStatus.FAILED, reason)
                if not error.retryable and row.failure_code != error.code:
                    connection_failed.send(
                        sender=StoredToken, principal=self._principal, user=self._user, code=error.code, reason=reason
                    )

    @staticmethod
    def _reason(row: StoredToken, error: AuthenticationFailed) -> str:
        is_over = isinstance(error, TokenEndpointRefused) and error.is_grant_invalid and row.refresh_token is not None
        if not is_over:
            return error.message
        lost = " The answer to an earlier refresh was lost, which may be why." if row.failure_code else ""
        return f"The identity provider does not accept the refresh token any more.{lost} Connect again."

    def _tell_principal(self, status: PrincipalStatus, reason: str) -> None:
        # One user's trouble at a per-user principal says nothing about the others; it stays with the user's token.
        if self._principal.kind != PrincipalKind.PER_USER:
            told = Principal.objects.filter(pk=self._principal.pk).exclude(status=status, status_reason=reason)
            told.update(status=status, status_reason=reason, status_at=clock.now())


def _as_token(row: StoredToken) -> AccessToken | None:
    text: Secret | None = row.access_token
    if text is None or row.obtained_at is None or row.expires_at is None:
        return None
    return AccessToken(
        text=text, obtained_at=row.obtained_at, expires_at=row.expires_at, generation=row.token_generation
    )
