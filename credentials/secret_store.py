"""A principal's secrets as a protocol reads them; reading one notes when it was last used."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta

from django.db import router, transaction
from django.db.models import Q

from credentials.conf import options
from credentials.models import PrincipalSecret
from isthmus import clock
from isthmus.vault.secret import Secret

__all__ = ["PrincipalSecrets"]


class PrincipalSecrets(Mapping[str, Secret]):
    """Secrets by name."""

    def __init__(self, rows: Iterable[PrincipalSecret]) -> None:
        self._rows = {row.name: row for row in rows}

    def __getitem__(self, name: str) -> Secret:
        row = self._rows[name]
        self._note_use(row)
        return row.value

    def __contains__(self, name: object) -> bool:
        return name in self._rows

    def __iter__(self) -> Iterator[str]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)

    def _note_use(self, row: PrincipalSecret) -> None:
        """Write the time, at most once in a while; two processes that write it at once write about the same."""
        now = clock.now()
        stale = now - timedelta(seconds=options.last_used_resolution_seconds)
        if row.last_used_at is not None and row.last_used_at > stale:
            return
        row.last_used_at = now
        not_yet = Q(last_used_at=None) | Q(last_used_at__lte=stale)
        rows = PrincipalSecret.objects.filter(not_yet, pk=row.pk)
        # Robust: a callout does not fail because nobody could note when its secret was used.
        transaction.on_commit(
            lambda: rows.update(last_used_at=now), using=router.db_for_write(PrincipalSecret), robust=True
        )
