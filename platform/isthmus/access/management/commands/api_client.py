"""`manage.py api_client NAME [--user U] [--flow F] …`: a client id and secret for OAuth."""

import json
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.core.management.base import BaseCommand, CommandError, CommandParser

from isthmus.access.actions import create_api_client
from isthmus.access.errors import RunAsUserRefused
from isthmus.access.models import ApiClient, Flow, Scope
from isthmus.access.oauth.redirects import is_redirect_uri


class Command(BaseCommand):
    help = "Make an API client and print its id and secret; the secret is shown this once."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", help="What the client is called on screens.")
        parser.add_argument("--user", help="Name of the user that the client acts as on its own.")
        parser.add_argument("--flow", action="append", choices=Flow.values, help="A flow it may use; may be repeated.")
        parser.add_argument("--scope", action="append", choices=Scope.values, help="What its tokens may be for.")
        parser.add_argument("--redirect-uri", action="append", default=[], help="Where people who agreed are led.")
        parser.add_argument("--public", action="store_true", help="It cannot keep a secret and gets none.")
        parser.add_argument("--client-id", default="", help="Its id, where a program has one built in.")
        parser.add_argument("--json", action="store_true", help="Print JSON.")

    def handle(self, *args: Any, **given: Any) -> None:
        flows = given["flow"] or [Flow.CLIENT_CREDENTIALS]
        if wrong := [uri for uri in given["redirect_uri"] if not is_redirect_uri(uri)]:
            raise CommandError(f"No code may be sent to {', '.join(wrong)}.")
        if Flow.CLIENT_CREDENTIALS in flows and not given["user"]:
            raise CommandError("A client that acts on its own needs --user.")
        if given["client_id"] and ApiClient.objects.filter(client_id=given["client_id"]).exists():
            raise CommandError(f"There is a client with the id {given['client_id']} already.")
        try:
            user = User.objects.get_by_natural_key(given["user"]) if given["user"] else None
            client, secret = create_api_client(
                given["name"],
                user,
                flows=flows,
                scopes=given["scope"] or [Scope.API],
                redirect_uris=given["redirect_uri"],
                is_public=given["public"],
                client_id=given["client_id"],
            )
        except User.DoesNotExist as error:
            raise CommandError(f"There is no user named {given['user']!r}.") from error
        except RunAsUserRefused as error:
            raise CommandError(error.message) from error
        told = {
            "name": client.name,
            "client_id": client.client_id,
            "client_secret": secret,
            "instance_url": settings.BASE_URL,
            "token_url": f"{settings.BASE_URL}/services/oauth2/token",
            "user": user.get_username() if user else "",
        }
        lines = "\n".join(f"{name}: {value}" for name, value in told.items())
        self.stdout.write(json.dumps(told) if given["json"] else lines)
