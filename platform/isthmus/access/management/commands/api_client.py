"""`manage.py api_client NAME --user U [--json]`: a client id and secret for OAuth."""

import json
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.core.management.base import BaseCommand, CommandError, CommandParser

from isthmus.access.actions import create_api_client
from isthmus.access.errors import RunAsUserRefused


class Command(BaseCommand):
    help = "Make an API client and print its id and secret; the secret is shown this once."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", help="What the client is called on screens.")
        parser.add_argument("--user", required=True, help="Name of the user that the client acts as.")
        parser.add_argument("--json", action="store_true", help="Print JSON.")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            user = User.objects.get_by_natural_key(options["user"])
            client, secret = create_api_client(options["name"], user)
        except User.DoesNotExist as error:
            raise CommandError(f"There is no user named {options['user']!r}.") from error
        except RunAsUserRefused as error:
            raise CommandError(error.message) from error
        told = {
            "name": client.name,
            "client_id": client.client_id,
            "client_secret": secret,
            "instance_url": settings.BASE_URL,
            "token_url": f"{settings.BASE_URL}/services/oauth2/token",
            "user": user.get_username(),
        }
        lines = "\n".join(f"{name}: {value}" for name, value in told.items())
        self.stdout.write(json.dumps(told) if options["json"] else lines)
