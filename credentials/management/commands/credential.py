"""`manage.py credential explain USER NAMED_CREDENTIAL`: why a user can, or cannot, call through it."""

import json
from argparse import ArgumentParser
from dataclasses import asdict
from typing import Any

from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandError

from credentials.explain import explain, who_can_use
from credentials.models import NamedCredential


class Command(BaseCommand):
    """Explains access to named credentials. Status 1 when the user cannot call."""

    help = "explain USER NAME: every rule and what it found. who NAME: everybody who may use it, and through what."

    def add_arguments(self, parser: ArgumentParser) -> None:
        commands = parser.add_subparsers(dest="what", required=True)
        why = commands.add_parser("explain", help="Why can this user (not) call through it?")
        why.add_argument("user")
        why.add_argument("name")
        who = commands.add_parser("who", help="Who may use it?")
        who.add_argument("name")
        for each in (why, who):
            each.add_argument("--json", action="store_true", dest="as_json")

    def handle(self, *, what: str, name: str, as_json: bool, **options: Any) -> None:
        if what == "who":
            self._who(name, as_json)
        else:
            self._explain(options["user"], name, as_json)

    def _explain(self, username: str, name: str, as_json: bool) -> None:
        user = get_user_model().objects.filter(username=username).first()
        if user is None:
            raise CommandError(f"There is no user {username!r}.")
        found = explain(name, user)
        if as_json:
            steps = [asdict(step) for step in found.steps]
            told = {"named_credential": name, "user": username, "may": found.may, "steps": steps}
            self.stdout.write(json.dumps(told))
        else:
            for step in found.steps:
                self.stdout.write(f"{'yes' if step.is_held else 'NO ':<4} {step.rule}: {step.told}")
        if not found.may:
            raise CommandError(f"{username} cannot call through {name}: {found.decided_by.told}")

    def _who(self, name: str, as_json: bool) -> None:
        named = NamedCredential.objects.with_authentication().filter(name=name).first()
        if named is None:
            raise CommandError(f"There is no named credential {name!r}.")
        for each in who_can_use(named):
            facts = {"user": each.user.get_username(), "principal": each.principal, "through": each.through}
            if as_json:
                self.stdout.write(json.dumps(facts))
            else:
                through = ", ".join(each.through) or "may do everything"
                self.stdout.write(f"{each.user.get_username()}: {each.principal}, {through}")
