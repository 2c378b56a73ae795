"""`manage.py queued_callouts`: what waits and what failed, and what to do about it, from a shell."""

from argparse import ArgumentParser
from datetime import datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils.dateparse import parse_datetime

from callouts.queue import decisions
from callouts.queue.models import QueuedCallout
from callouts.queue.states import AWAITS_DECISION, NOT_ENDED, QueueState
from isthmus.errors import IsthmusError


class Command(BaseCommand):
    help = "List queued callouts; send again, cancel or decide about them."

    def add_arguments(self, parser: ArgumentParser) -> None:
        doing = parser.add_subparsers(dest="doing", required=True)
        listing = doing.add_parser("list", help="the latest, or those in a state")
        listing.add_argument("--state", choices=["open", "dead", *QueueState.values])
        listing.add_argument("--credential", default="", help="of this named credential")
        listing.add_argument("--most", type=int, default=50, help="how many at most")
        for name, text in (
            ("resend", "send one that failed again"),
            ("cancel", "give one up"),
            ("acted", "say of one in doubt that the other side acted"),
            ("not-acted", "say of one in doubt that it did not, and send it again"),
        ):
            one = doing.add_parser(name, help=text)
            one.add_argument("id", type=int)
        recovering = doing.add_parser("recover", help="send again everything that failed since a moment")
        recovering.add_argument("--since", required=True, type=_moment, help="2026-05-01T12:00:00+00:00")
        recovering.add_argument("--credential", default="", help="of this named credential")
        recovering.add_argument("--operation", default="", help="of this operation")
        recovering.add_argument("--count", action="store_true", help="only say how many that are")

    def handle(self, *_: Any, doing: str, **given: Any) -> None:
        if doing == "list":
            self._list(**given)
        elif doing == "recover":
            self._recover(**given)
        else:
            self._decide(doing, given["id"])

    def _list(self, *, state: str | None, credential: str, most: int, **_: Any) -> None:
        rows = QueuedCallout.objects.defer("body", "answer_body")
        if state:
            several: dict[str, tuple[QueueState, ...]] = {"open": NOT_ENDED, "dead": AWAITS_DECISION}
            rows = rows.filter(state__in=several.get(state, (state,)))
        if credential:
            rows = rows.filter(named_credential=credential)
        for row in rows[:most]:
            self.stdout.write(
                f"#{row.pk}  {row.state:<9}  {row.named_credential}  {row.operation}  {row.reason}".rstrip()
            )

    def _recover(self, *, since: datetime, credential: str, operation: str, count: bool, **_: Any) -> None:
        found = QueuedCallout.objects.failed_since(since, named_credential=credential, operation=operation)
        number = found.count()
        if count or not number:
            self.stdout.write(f"Callouts that failed since then: {number}.")
            return
        job = decisions.recover(since, named_credential=credential, operation=operation)
        self.stdout.write(f"Callouts that are sent again: {number}. Operation {job.pk}.")

    def _decide(self, doing: str, pk: int) -> None:
        row = QueuedCallout.objects.filter(pk=pk).first()
        if row is None:
            raise CommandError(f"There is no queued callout #{pk}.")
        acts = {
            "resend": decisions.resend,
            "cancel": decisions.cancel,
            "acted": decisions.did_act,
            "not-acted": decisions.did_not_act,
        }
        try:
            acts[doing](row)
        except IsthmusError as refused:
            raise CommandError(refused.message) from refused
        row.refresh_from_db()
        self.stdout.write(f"#{row.pk} is {row.get_state_display().lower()}.")


def _moment(text: str) -> datetime:
    found = parse_datetime(text)
    if found is None or found.tzinfo is None:
        raise CommandError("A moment is written as 2026-05-01T12:00:00+00:00.")
    return found
