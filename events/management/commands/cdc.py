"""`manage.py cdc status|backfill|verify`."""

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import router
from django.db.models import Count, Min

from events.completeness import watermark
from events.logs import get_event_log
from events.models import Topic
from events.names import change_topic
from events.verification import verify
from isthmus.errors import IsthmusError
from isthmus.objects import catalogue
from isthmus.objects.capture import acting_as
from isthmus.objects.capture.tracking import is_tracked, tracked_names
from isthmus.objects.capture.triggers import missing_triggers, note_snapshot
from isthmus.objects.models import RawChange
from isthmus.objects.object_types import ObjectType

_DIFFERENCES_SHOWN = 100


class Command(BaseCommand):
    """Looks after change data capture."""

    help = "Show what is captured, tell what records hold, and compare records with their events. Answers are JSON."

    def add_arguments(self, parser: ArgumentParser) -> None:
        acts = parser.add_subparsers(dest="action", required=True)
        acts.add_parser("status", help="Show each object: whether changes are captured, and what waits; one line each.")
        backfill = acts.add_parser("backfill", help="Publish what every record of an object holds, as SNAPSHOT events.")
        backfill.add_argument("object", metavar="OBJECT", help="API name, such as Contact.")
        backfill.add_argument("--after", type=int, default=0, metavar="PK", help="Begin after this primary key.")
        backfill.add_argument("--chunk-size", type=int, default=1_000, metavar="N", help="Records in one transaction.")
        compare = acts.add_parser("verify", help="Compare records with their events; exit status 2 if some differ.")
        compare.add_argument("objects", nargs="*", metavar="OBJECT", help="API names; none: every captured object.")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            {"status": self._status, "backfill": self._backfill, "verify": self._verify}[options["action"]](options)
        except IsthmusError as error:
            raise CommandError(f"{error.code}: {error.message}") from error

    def _status(self, _options: dict[str, Any]) -> None:
        event_log = get_event_log()
        known = catalogue.all_objects()
        tracked, without_triggers = tracked_names(known), set(missing_triggers("default"))
        topics = {topic.name: topic for topic in Topic.objects.filter(kind="data")}
        waiting = {row["object_name"]: row for row in _waiting()}
        for found in known:
            topic = topics.get(change_topic(found.api_name))
            if found.model is None or (found.api_name not in tracked and topic is None):
                continue
            rows = waiting.get(found.api_name, {"number": 0, "oldest": None})
            until = watermark(event_log, topic.name).until if topic is not None else None
            self._tell(
                {
                    "object": found.api_name,
                    "captured": found.api_name in tracked,
                    "triggers_missing": found.api_name in without_triggers,
                    "waiting_changes": rows["number"],
                    "oldest_waiting_since": rows["oldest"].isoformat() if rows["oldest"] is not None else None,
                    "kept_events": topic.kept_events if topic is not None else 0,
                    "last_replay_id": topic.last_replay_id if topic is not None else 0,
                    "complete_until": until.isoformat() if until is not None else None,
                }
            )

    def _backfill(self, options: dict[str, Any]) -> None:
        found = catalogue.get_object(options["object"])
        if options["chunk_size"] < 1:
            raise CommandError("--chunk-size is at least 1.")
        if found.model is None or not is_tracked(found):
            raise CommandError(f"The changes of {found} are not captured, so what is told now would not stay true.")
        using, after = router.db_for_write(found.model), options["after"]
        with acting_as(None, origin="backfill"):
            while (last := note_snapshot(found, using, after=after, limit=options["chunk_size"])) is not None:
                after = last
                self._tell({"object": found.api_name, "up_to": after})
        self._tell({"object": found.api_name, "done": True})

    def _verify(self, options: dict[str, Any]) -> None:
        known = catalogue.all_objects()
        tracked = tracked_names(known)
        chosen = [catalogue.get_object(name) for name in options["objects"]] or [
            found for found in known if found.api_name in tracked
        ]
        if uncaptured := [found.api_name for found in chosen if found.api_name not in tracked]:
            raise CommandError(f"Changes of {', '.join(uncaptured)} are not captured.")
        if differing := [found.api_name for found in chosen if not self._is_verified(found)]:
            raise CommandError(
                f"Records differ from their events, or could not be compared: {', '.join(differing)}.", returncode=2
            )

    def _is_verified(self, object_type: ObjectType) -> bool:
        found = verify(object_type, get_event_log())
        shown = found.differences[:_DIFFERENCES_SHOWN]
        self._tell(
            {
                "object": object_type.api_name,
                "equal": found.equal,
                "untold": found.untold,
                "undecided": found.undecided,
                "differing": len(found.differences),
                "differences": [{"record_id": each.record_id, "fields": list(each.fields)} for each in shown],
            }
        )
        return not found.differences and not found.undecided

    def _tell(self, answer: dict[str, Any]) -> None:
        self.stdout.write(json.dumps(answer))


def _waiting() -> Any:
    return RawChange.objects.order_by().values("object_name").annotate(number=Count("pk"), oldest=Min("created_at"))
