"""`manage.py run_demo`: the platform and the demo's outside systems on this machine, with data to look at."""

from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError

from examples.mortgage.jobs import submit_application
from examples.mortgage.models import MortgageRequest
from examples.mortgage.outside import bank_spec, crm_spec, warehouse_spec
from examples.mortgage.seed import LOGINS, applicants, open_requests, place_orders
from isthmus.supervisor import bus_spec, run_until_stopped, web_spec, worker_spec


class Command(BaseCommand):
    help = "Run the platform with demo data and the demo's bank until Ctrl-C."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--port", type=int, default=settings.HTTP_PORT, help="port of the pages")
        parser.add_argument("--bank-port", type=int, default=9101, help="port of the mortgage bank")
        parser.add_argument("--warehouse-port", type=int, default=9102, help="port of the warehouse")
        parser.add_argument("--crm-port", type=int, default=9103, help="port of the partner's CRM")

    def handle(self, *_: Any, port: int, bank_port: int, warehouse_port: int, crm_port: int, **__: Any) -> None:
        call_command("migrate", verbosity=0, interactive=False)
        call_command(
            "seed_demo",
            bank_url=f"http://127.0.0.1:{bank_port}",
            warehouse_url=f"http://127.0.0.1:{warehouse_port}",
            crm_url=f"http://127.0.0.1:{crm_port}",
            verbosity=0,
        )
        operator = User.objects.get(username="operator")
        for request in open_requests(operator, "WELCOME", applicants()):
            if request.status == MortgageRequest.Status.NEW:
                submit_application.enqueue(request_id=request.pk, patience_seconds=60.0, user=operator)
        place_orders(operator, "WELCOME")
        address = f"http://127.0.0.1:{port}"
        answered = run_until_stopped(
            [
                bank_spec(bank_port, settings.DATA_DIR / "bank", thinking_seconds=3.0),
                warehouse_spec(warehouse_port, settings.DATA_DIR / "warehouse"),
                crm_spec(crm_port, settings.DATA_DIR / "crm"),
                web_spec(port),
                worker_spec(),
                bus_spec(),
            ],
            port=port,
            welcome=[
                f"Isthmus runs: {address}/",
                f"Set-up:       {address}/admin/",
                *(f"Sign in as:   {name} / {password}" for name, password in LOGINS.items()),
            ],
            write=self.stdout.write,
        )
        if not answered:
            raise CommandError(f"The web process did not answer on port {port}.")
