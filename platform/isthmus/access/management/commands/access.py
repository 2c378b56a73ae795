"""`manage.py access explain USER ACTION TARGET`: why a user may, or may not, do something."""

import json
from argparse import ArgumentParser
from dataclasses import asdict
from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.models import AbstractUser
from django.core.management.base import BaseCommand, CommandError

from isthmus.access.explaining import Explanation, explain
from isthmus.errors import IsthmusError


class Command(BaseCommand):
    """Answers questions about permissions."""

    help = "Name the rule that decides whether a user may do something. Exit status 2 when they may not."

    def add_arguments(self, parser: ArgumentParser) -> None:
        acts = parser.add_subparsers(dest="what", required=True)
        why = acts.add_parser("explain", help="Why may this user (not) do it?")
        why.add_argument("user", metavar="USER", help="The user's name.")
        why.add_argument("action", metavar="ACTION", help="Kind and action, such as object.edit or event.subscribe.")
        why.add_argument("target", metavar="TARGET", help="Such as Contact, Contact.Email or Order_Ready__e.")
        why.add_argument("--json", action="store_true", dest="as_json", help="Answer as JSON.")

    def handle(self, *args: Any, **options: Any) -> None:
        user = get_user_model().objects.filter(username=options["user"]).first()
        if not isinstance(user, AbstractUser):
            raise CommandError(f"There is no user {options['user']!r}.")
        kind, dot, action = options["action"].partition(".")
        if not dot:
            raise CommandError("ACTION is a kind and an action, such as object.edit.")
        try:
            found = explain(user, kind, action, options["target"])
        except IsthmusError as error:
            raise CommandError(f"{error.code}: {error.message}") from error
        self._tell(found, as_json=options["as_json"])
        if not found.may:
            raise CommandError(found.rule, returncode=2)

    def _tell(self, found: Explanation, *, as_json: bool) -> None:
        if as_json:
            self.stdout.write(json.dumps(asdict(found)))
            return
        self.stdout.write(f"{'yes' if found.may else 'NO'}: {found.rule}")
        for given in found.through[1:]:
            self.stdout.write(f"also: {given.permission_set} grants {given.grant}.")
        for given in found.would_allow:
            self.stdout.write(f"would allow it: {given.permission_set} grants {given.grant}.")
