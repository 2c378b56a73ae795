"""`manage.py access_token --user U [--json]`: an access token for the API."""

import json
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.core.management.base import BaseCommand, CommandError, CommandParser

from isthmus.access.actions import issue_access_token
from isthmus.access.errors import RunAsUserRefused
from isthmus.access.identity import organization_id, user_id


class Command(BaseCommand):
    help = "Print an access token with which the API acts as a user."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--user", required=True, help="Name of the user to act as.")
        parser.add_argument("--json", action="store_true", help="Print the token, the instance and both ids as JSON.")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            user = User.objects.get_by_natural_key(options["user"])
            text = issue_access_token(user)
        except User.DoesNotExist as error:
            raise CommandError(f"There is no user named {options['user']!r}.") from error
        except RunAsUserRefused as error:
            raise CommandError(error.message) from error
        told = {
            "access_token": text,
            "instance_url": settings.BASE_URL,
            "organization_id": organization_id(),
            "user_id": user_id(user),
        }
        self.stdout.write(json.dumps(told) if options["json"] else text)
