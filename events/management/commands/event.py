"""`manage.py event publish NAME --json '{…}'`."""

import json
from argparse import ArgumentParser
from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.models import AbstractUser
from django.core.management.base import BaseCommand, CommandError

from events import registry
from events.errors import EventRefused
from isthmus import correlation
from isthmus.errors import IsthmusError


class Command(BaseCommand):
    """Publishes events by hand."""

    help = "Publish a platform event."

    def add_arguments(self, parser: ArgumentParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True)
        publish = actions.add_parser("publish", help="Publish one event.")
        publish.add_argument("name", metavar="NAME", help="API name, such as Order_Ready__e.")
        publish.add_argument("--json", required=True, metavar="FIELDS", help="The fields as a JSON object.")
        publish.add_argument("--user", metavar="NAME", help="Publish as this user, with this user's permissions.")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            fields = json.loads(options["json"])
        except ValueError as error:
            raise CommandError(f"--json is not JSON: {error}") from error
        if not isinstance(fields, dict):
            raise CommandError('--json takes an object: {"Field__c": …}.')
        user = _user(options["user"]) if options["user"] else None
        try:
            with correlation.bind() as correlation_id:
                result = registry.get_event(options["name"]).declared.from_payload(fields).publish(user=user)
        except EventRefused as refused:
            raise CommandError("\n".join(f"{found.code}: {found.message}" for found in refused.problems)) from refused
        except IsthmusError as error:
            raise CommandError(f"{error.code}: {error.message}") from error
        answer = {"success": True, "event_uuid": str(result.event_uuid), "correlation_id": correlation_id}
        self.stdout.write(json.dumps(answer))


def _user(name: str) -> AbstractUser:
    try:
        return get_user_model().objects.get_by_natural_key(name)
    except get_user_model().DoesNotExist:
        raise CommandError(f"There is no user named {name!r}.") from None
