"""`manage.py seed_demo`: the demo's users, permission sets, credentials and services; safe to repeat."""

from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from events.actions import synchronise
from examples.mortgage.outside import API_KEY, CLIENT_ID, CLIENT_SECRET, CRM_LOGIN
from examples.mortgage.seed import (
    LOGINS,
    in_words,
    seed_access,
    seed_bank,
    seed_command_line,
    seed_partners,
    seed_service,
)


class Command(BaseCommand):
    help = "Make the demo's users, permission sets, credentials, services and events; idempotent."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--bank-url", default="http://127.0.0.1:9101", help="where the demo's bank listens")
        parser.add_argument("--warehouse-url", default="http://127.0.0.1:9102", help="where the warehouse listens")
        parser.add_argument(
            "--no-superuser", action="store_false", dest="with_superuser", help="let admin be no superuser"
        )
        parser.add_argument("--crm-url", default="http://127.0.0.1:9103", help="where the partner's CRM listens")

    def handle(
        self,
        *_: Any,
        bank_url: str,
        warehouse_url: str,
        crm_url: str,
        with_superuser: bool = True,
        verbosity: int = 1,
        **__: Any,
    ) -> None:
        if settings.IS_PRODUCTION:
            raise CommandError("Demo users have known passwords; seed_demo does not run in production.")
        synchronise()
        seed_bank(bank_url, client_id=CLIENT_ID, client_secret=CLIENT_SECRET)
        seed_partners(warehouse_url, crm_url, api_key=API_KEY, login=CRM_LOGIN)
        seed_access(with_superuser=with_superuser)
        seed_command_line()
        report = seed_service()
        if verbosity:
            people = ", ".join(f"{name} / {password}" for name, password in LOGINS.items())
            self.stdout.write(f"Demo data is there. Sign in as: {people}. Service: {in_words(report)}")
