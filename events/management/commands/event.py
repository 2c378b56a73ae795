"""`manage.py event publish|topics|verify|subscriptions|pause|resume|rewind|skip|parked|redrive|discard`."""

import json
from argparse import ArgumentParser
from collections.abc import Callable
from datetime import datetime
from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.models import AbstractUser
from django.core.management.base import BaseCommand, CommandError
from django.utils.dateparse import parse_datetime

from events import actions, parking, registry
from events.actions.steering import Place
from events.completeness import watermark
from events.errors import EventRefused
from events.logs import get_event_log
from events.models import ParkedEvent, Subscription, Topic, TopicKind
from isthmus import correlation
from isthmus.errors import IsthmusError


class Command(BaseCommand):
    """Publishes events by hand, and steers subscriptions."""

    help = "Publish events, look at subscriptions and steer them. Answers are JSON."

    def add_arguments(self, parser: ArgumentParser) -> None:
        acts = parser.add_subparsers(dest="action", required=True)
        publish = acts.add_parser("publish", help="Publish one event.")
        publish.add_argument("name", metavar="NAME", help="API name, such as Order_Ready__e.")
        publish.add_argument("--json", required=True, metavar="FIELDS", help="The fields as a JSON object.")
        publish.add_argument("--user", metavar="NAME", help="Publish as this user, with this user's permissions.")
        publish.add_argument("--deduplication-key", metavar="KEY", help="Publish once, however often it is asked for.")
        acts.add_parser("topics", help="Show what each topic holds and how far it is complete, one line each.")
        acts.add_parser("verify", help="Count every kept event again; exit status 2 if some are missing.")
        acts.add_parser("subscriptions", help="Show how far each subscription is, one line each.")
        for act, help_text in (("pause", "Let it rest where it is."), ("resume", "Let it go on where it was.")):
            acts.add_parser(act, help=help_text).add_argument("name", metavar="SUBSCRIPTION")
        rewind = acts.add_parser("rewind", help="Let it go on from an earlier place.")
        rewind.add_argument("name", metavar="SUBSCRIPTION")
        rewind.add_argument("--to", required=True, metavar="PLACE", help="`earliest`, a replay id, or a time.")
        skip = acts.add_parser("skip", help="Leave out all events it has not handled.")
        skip.add_argument("name", metavar="SUBSCRIPTION")
        skip.add_argument("--count", required=True, type=int, metavar="N", help="How many wait: see `subscriptions`.")
        parked = acts.add_parser("parked", help="Show the events that could not be handled, one line each.")
        parked.add_argument("--subscription", metavar="NAME")
        for act, help_text in (("redrive", "Have parked events handled again."), ("discard", "Give one up.")):
            again = acts.add_parser(act, help=help_text)
            again.add_argument("--subscription", metavar="NAME")
            again.add_argument("--id", type=int, metavar="ID", help="One of them, as `parked` shows it.")

    def handle(self, *args: Any, **options: Any) -> None:
        acts: dict[str, Callable[[dict[str, Any]], None]] = {
            "publish": self._publish,
            "topics": self._topics,
            "verify": self._verify,
            "subscriptions": self._subscriptions,
            "parked": self._parked,
            "redrive": self._redrive,
            "discard": self._discard,
        }
        try:
            acts.get(options["action"], self._steer)(options)
        except EventRefused as refused:
            raise CommandError("\n".join(f"{found.code}: {found.message}" for found in refused.problems)) from refused
        except IsthmusError as error:
            raise CommandError(f"{error.code}: {error.message}") from error

    def _publish(self, options: dict[str, Any]) -> None:
        try:
            fields = json.loads(options["json"])
        except ValueError as error:
            raise CommandError(f"--json is not JSON: {error}") from error
        if not isinstance(fields, dict):
            raise CommandError('--json takes an object: {"Field__c": …}.')
        user = _user(options["user"]) if options["user"] else None
        declared = registry.get_event(options["name"]).declared
        with correlation.bind() as correlation_id:
            event = declared.from_payload(fields, deduplication_key=options["deduplication_key"])
            result = event.publish(user=user)
        self._tell({"success": True, "event_uuid": str(result.event_uuid), "correlation_id": correlation_id})

    def _topics(self, _options: dict[str, Any]) -> None:
        event_log = get_event_log()
        for topic in Topic.objects.all():
            found = watermark(event_log, topic.name)
            self._tell(
                {
                    "name": topic.name,
                    "carries": event_log.carried_by(topic.name),
                    "earliest": event_log.earliest(topic.name),
                    "latest": event_log.latest(topic.name),
                    "kept_events": topic.kept_events if topic.is_published_to else None,
                    "complete_up_to": found.replay_id,
                    "complete_until": found.until.isoformat() if found.until is not None else None,
                }
            )

    def _verify(self, _options: dict[str, Any]) -> None:
        event_log = get_event_log()
        missing = {
            topic.name: event_log.recount(topic.name)
            for topic in Topic.objects.filter(kind__in=TopicKind.of_their_own())
        }
        for name, number in missing.items():
            self._tell({"topic": name, "missing_events": number})
        if any(missing.values()):
            raise CommandError("Events are missing from the log.", returncode=2)

    def _subscriptions(self, _options: dict[str, Any]) -> None:
        for row in Subscription.objects.with_lag():
            self._tell_of(row)

    def _steer(self, options: dict[str, Any]) -> None:
        row = Subscription.objects.select_related("topic").filter(name=options["name"]).first()
        if row is None:
            raise CommandError(f"There is no subscription named {options['name']!r}.")
        if options["action"] == "rewind":
            actions.rewind(row, to=_place(options["to"]))
        elif options["action"] == "skip":
            actions.skip(row, count=options["count"])
        else:
            {"pause": actions.pause, "resume": actions.resume}[options["action"]](row)
        self._tell_of(Subscription.objects.with_lag().get(pk=row.pk))

    def _tell_of(self, row: Subscription) -> None:
        self._tell(
            {
                "name": row.name,
                "topic": row.topic.name,
                "state": row.state,
                "cursor": row.cursor,
                "waiting": row.lag,  # type: ignore[attr-defined]  # annotated by with_lag
                "failures": row.failures,
                "last_error": row.last_error,
            }
        )

    def _parked(self, options: dict[str, Any]) -> None:
        for row in _chosen(options):
            self._tell(
                {
                    "id": row.pk,
                    "subscription": row.subscription.name,
                    "replay_id": row.replay_id,
                    "event_uuid": str(row.event_uuid),
                    "error": row.error,
                    "failures": row.failures,
                }
            )

    def _redrive(self, options: dict[str, Any]) -> None:
        outcomes = [parking.redrive(row) for row in _chosen(options)]
        self._tell({"handled": outcomes.count(True), "failed": outcomes.count(False)})
        if not all(outcomes):
            raise CommandError("Some events failed again; `event parked` says why.", returncode=2)

    def _discard(self, options: dict[str, Any]) -> None:
        if options["id"] is None:
            raise CommandError("--id says which one is given up.")
        rows = _chosen(options)
        for row in rows:
            parking.discard(row)
        self._tell({"discarded": len(rows)})

    def _tell(self, answer: dict[str, Any]) -> None:
        self.stdout.write(json.dumps(answer))


def _chosen(options: dict[str, Any]) -> list[ParkedEvent]:
    found = ParkedEvent.objects.filter(state="parked").select_related("subscription").order_by("replay_id", "pk")
    if options["subscription"]:
        found = found.filter(subscription__name=options["subscription"])
    if options.get("id") is not None:
        found = found.filter(pk=options["id"])
        if not found:
            raise CommandError(f"There is no parked event {options['id']}.")
    return list(found)


def _place(given: str) -> Place:
    if given == "earliest":
        return "earliest"
    if given.isdecimal():
        return int(given)
    try:
        moment: datetime | None = parse_datetime(given)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise CommandError("--to takes `earliest`, a replay id, or a time with its zone: 2026-01-31T12:00:00Z.")
    return moment


def _user(name: str) -> AbstractUser:
    try:
        return get_user_model().objects.get_by_natural_key(name)
    except get_user_model().DoesNotExist:
        raise CommandError(f"There is no user named {name!r}.") from None
