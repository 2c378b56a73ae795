"""The story: an application leaves the platform, comes back through a callback, becomes records and events."""

import json
import re
import sys
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import close_old_connections

from callouts.external_services.models import Invocation
from callouts.models import IntegrationLogEntry
from callouts.queue.models import QueuedCallout
from crm.models import Case, Contact, Opportunity
from events.actions import synchronise
from events.models import EventLogEntry
from examples.demo.trace import Trace
from examples.demo.world import World, request
from examples.mortgage.jobs import submit_application
from examples.mortgage.models import ContactSighting, DecisionNote, MortgageRequest
from examples.mortgage.outside import API_KEY, CLIENT_ID, CLIENT_SECRET, CRM_LOGIN, bank_spec, crm_spec, warehouse_spec
from examples.mortgage.seed import (
    applicants,
    in_words,
    open_requests,
    place_orders,
    seed_access,
    seed_bank,
    seed_partners,
    seed_service,
)
from isthmus import clock, ids
from isthmus.access.actions import create_api_client
from isthmus.supervisor import Supervisor, bus_spec, wait_for_web, web_spec, worker_spec

__all__ = ["Kill", "Story", "parse_kill"]

WAIT_SECONDS = 120.0
Status = MortgageRequest.Status


@dataclass(frozen=True, kw_only=True)
class Kill:
    """A process dies when something has happened so many times."""

    process: str
    what: str
    count: int


def parse_kill(text: str) -> Kill:
    """Read `worker@received>=3`. Raises `SystemExit` with a sentence when it is something else."""
    found = re.fullmatch(r"(web|worker|bus)@(received|decided|delivered|told)>=(\d+)", text)
    if found is None:
        sys.exit(f"--kill {text!r}: it takes PROCESS@WHAT>=N, as in worker@received>=3.")
    return Kill(process=found[1], what=found[2], count=int(found[3]))


class Story:
    """One run of the demo."""

    def __init__(
        self, world: World, *, applicants: int, kills: Sequence[Kill], patience_seconds: float, show_logs: bool
    ) -> None:
        self._world = world
        self._applicants = applicants
        self._kills = list(kills)
        self._patience_seconds = patience_seconds
        self._trace = Trace()
        self._lines: list[str] = []
        self._show_logs = show_logs
        self._run = f"DEMO-{ids.new_uuid().hex[:8]}"
        self._requests: list[MortgageRequest] = []
        self._supervisor = Supervisor(
            [
                bank_spec(world.bank_port, world.data / "bank", thinking_seconds=0.5),
                warehouse_spec(world.warehouse_port, world.data / "warehouse"),
                crm_spec(world.crm_port, world.data / "crm"),
                web_spec(world.web_port),
                worker_spec(),
                bus_spec(),
            ],
            environment={},
            write=self._hear,
        )

    def tell(self) -> int:
        """Run every step; return the exit status."""
        try:
            self._start_everything()
            self._set_up()
            self._apply()
            self._wait_for_decisions()
            self._look_at_records()
            self._look_at_events()
            self._tell_partners()
            self._ask_for_support()
            self._sum_up()
        finally:
            self._supervisor.stop()
        if self._trace.mismatches:
            sys.stdout.write("\nWhat the processes said last:\n" + "\n".join(self._lines[-60:]) + "\n")
        return self._trace.end()

    def _hear(self, line: str) -> None:
        self._lines.append(line)
        if self._show_logs:
            sys.stdout.write(line + "\n")

    # --- the steps --------------------------------------------------------------------------------------------------

    def _start_everything(self) -> None:
        self._trace.step("Start the bank, the partners, and the platform's web, worker and bus processes")
        call_command("migrate", verbosity=0, interactive=False)
        self._supervisor.start()
        answered = wait_for_web(self._world.web_port)
        self._trace.expect("the web process answers", found=answered, wanted=True)
        bank_answers = self._until(lambda: self._asks_bank("/openapi.json") == 200)
        self._trace.expect("the bank answers", found=bank_answers, wanted=True)
        self._trace.fact(f"platform {self._world.web_url}, bank {self._world.bank_url}")

    def _set_up(self) -> None:
        self._trace.step("Set up: permission sets, the bank's credentials, the external service from its document")
        synchronise()
        seed_bank(self._world.bank_url, client_id=CLIENT_ID, client_secret=CLIENT_SECRET)
        seed_partners(self._world.warehouse_url, self._world.crm_url, api_key=API_KEY, login=CRM_LOGIN)
        seed_access()
        document = request(f"{self._world.bank_url}/openapi.json").body
        report = seed_service(json.dumps(document).encode())
        self._trace.fact(
            f"external credential AcmeBank, principal Mortgage_Desk, named credential {self._world.bank_url}"
        )
        self._trace.fact(f"external service: {in_words(report)}")

    def _apply(self) -> None:
        self._trace.step("Leads become applications: one background operation each")
        operator = User.objects.get(username="operator")
        cast = applicants()
        wanted = [cast[number % len(cast)] for number in range(self._applicants)]
        self._expected = Counter(applicant.expected for applicant in wanted)
        self._requests = open_requests(operator, self._run, wanted)
        for applicant, entered in zip(wanted, self._requests, strict=True):
            silent = applicant.expected == Status.TIMED_OUT
            patience = self._patience_seconds if silent else 600.0
            job = submit_application.enqueue(request_id=entered.pk, patience_seconds=patience, user=operator)
            self._trace.fact(
                f"{entered.external_reference}  {entered.lead}  {entered.requested_amount:>12,}  job {job.id}"
            )

    def _wait_for_decisions(self) -> None:
        self._trace.step("The bank takes them in, decides, and calls back")
        told: dict[str, str] = {}

        def settled() -> bool:
            self._kill_what_is_due()
            open_ones = 0
            for found in MortgageRequest.objects.filter(external_reference__startswith=self._run):
                if told.get(found.external_reference) != found.status:
                    told[found.external_reference] = found.status
                    if found.status != Status.NEW:
                        number = found.application_number
                        self._trace.fact(
                            f"{found.external_reference}  {number:<11}  {found.status:<10}  {found.reason}"
                        )
                open_ones += found.status in {Status.NEW, Status.SUBMITTED}
            return open_ones == 0 and not self._kills

        self._trace.expect("every application is settled", found=self._until(settled), wanted=True)
        found = Counter(
            MortgageRequest.objects.filter(external_reference__startswith=self._run).values_list("status", flat=True)
        )
        for status, count in sorted(self._expected.items()):
            self._trace.expect(f"applications {status}", found=found[status], wanted=count)

    def _look_at_records(self) -> None:
        self._trace.step("What is in the records and in the bank's own ledger")
        self._requests = list(MortgageRequest.objects.filter(external_reference__startswith=self._run))
        approved = [found.application_number for found in self._requests if found.status == Status.APPROVED]
        for model in (Contact, Opportunity):
            made = Counter(
                model.objects.filter(external_reference__in=approved).values_list("external_reference", flat=True)
            )
            name = str(model._meta.verbose_name_plural).capitalize()
            self._trace.expect(f"{name}, one for each approval", found=made, wanted=Counter(approved))
        ledger = request(f"{self._world.bank_url}/_ledger").body
        self._trace.expect(
            "applications in the bank's ledger, none twice",
            found=len(ledger["application"]),
            wanted=len(self._requests),
        )
        self._trace.expect("access tokens the bank issued", found=ledger["tokens_issued"] >= 1, wanted=True)

    def _look_at_events(self) -> None:
        self._trace.step("What the bus carried, and what the subscribers saw from their own cursors")
        decided = sorted(
            found.application_number for found in self._requests if found.status not in {Status.TIMED_OUT, Status.NEW}
        )
        contacts = sorted(
            contact.record_id
            for contact in Contact.objects.filter(
                external_reference__in=[found.application_number for found in self._requests]
            )
        )

        def announced() -> list[str]:
            entries = EventLogEntry.objects.filter(topic__name="/event/Application_Decided__e")
            numbers = [entry.payload["Application_Number__c"] for entry in entries]
            ours = set(decided)
            return sorted(number for number in numbers if number in ours)

        def noted() -> list[str]:
            return sorted(
                DecisionNote.objects.filter(application_number__in=decided).values_list("application_number", flat=True)
            )

        def sighted() -> list[str]:
            return sorted(
                ContactSighting.objects.filter(record_id__in=contacts, change_type="CREATE").values_list(
                    "record_id", flat=True
                )
            )

        self._until(lambda: announced() == decided and noted() == decided and sighted() == contacts)
        self._trace.expect(
            "Application_Decided__e in the log, one a decision", found=len(announced()), wanted=len(decided)
        )
        self._trace.expect("all of them for the right applications", found=announced() == decided, wanted=True)
        self._trace.expect("decisions noted by the subscriber", found=noted() == decided, wanted=True)
        self._trace.expect("contact change events seen, one a contact", found=len(sighted()), wanted=len(contacts))
        self._trace.expect("all of them for the right contacts", found=sighted() == contacts, wanted=True)

    def _tell_partners(self) -> None:
        self._trace.step("Orders and leads change: the warehouse and the CRM learn of it, though one of them stumbles")
        request(f"{self._world.warehouse_url}/_faults", body={"status": 503, "count": 2})
        orders = place_orders(User.objects.get(username="operator"), self._run)
        leads = [found.lead for found in self._requests]
        wanted = {f"/orders/{order.record_id}" for order in orders}
        people = {f"/people/{lead.record_id}" for lead in leads}

        def standing(url: str) -> dict[str, dict[str, Any]]:
            return {row["path"]: json.loads(row["body"]) for row in request(f"{url}/_book").body["thing"]}

        def told() -> bool:
            ready = set(standing(self._world.warehouse_url)) >= wanted and set(standing(self._world.crm_url)) >= people
            return ready and not QueuedCallout.objects.not_ended().exists()

        self._trace.expect("everything that was queued has left", found=self._until(told), wanted=True)
        book = request(f"{self._world.warehouse_url}/_book").body
        self._trace.expect(
            "orders the warehouse knows", found=wanted <= standing(self._world.warehouse_url).keys(), wanted=True
        )
        activated = standing(self._world.warehouse_url)[f"/orders/{orders[0].record_id}"]
        self._trace.expect("the last change arrived last", found=activated.get("Status"), wanted="Activated")
        effects = Counter(row["idempotency_key"] for row in book["effect"])
        queued = QueuedCallout.objects.filter(named_credential="Warehouse", record_id__in=[o.record_id for o in orders])
        self._trace.expect(
            "changes the warehouse acted on, each once",
            found=sum(effects[row.idempotency_key] for row in queued),
            wanted=len(orders) + 1,
        )
        self._trace.expect("leads the CRM knows", found=people <= standing(self._world.crm_url).keys(), wanted=True)
        refused = [row for row in book["request"] if row["status"] == 503]
        self._trace.expect("attempts that the warehouse put off", found=len(refused), wanted=2)
        states = Counter(queued.values_list("state", flat=True))
        self._trace.fact(
            f"queued callouts to the warehouse: {dict(states)}, attempts {[row.attempts for row in queued]}"
        )

    def _ask_for_support(self) -> None:
        self._trace.step("An outside caller posts a support request twice")
        client, secret = create_api_client(f"{self._run}-support", User.objects.get(username="integration"))
        token = request(
            f"{self._world.web_url}/services/oauth2/token",
            form=f"grant_type=client_credentials&client_id={client.client_id}&client_secret={secret}",
        )
        self._trace.expect("token request", found=token.status, wanted=200)
        url = f"{self._world.web_url}/services/apexrest/v1/support-requests/"
        headers = {"Authorization": f"Bearer {token.body['access_token']}"}
        body = {
            "externalReference": f"{self._run}-SUPPORT",
            "customerEmail": "ada.lovelace@example.org",
            "subject": "Where is my approval letter?",
            "description": "It was promised for this week.",
        }
        first = request(url, body=body, headers=headers)
        second = request(url, body={"requestBody": body}, headers=headers)
        self._trace.expect("first answer", found=first.status, wanted=201)
        self._trace.expect(
            "second answer, the body wrapped under its parameter's name", found=second.status, wanted=200
        )
        self._trace.expect("the same case", found=second.body["caseId"], wanted=first.body["caseId"])
        self._trace.fact(f"{first.body}")
        self._trace.fact(f"{second.body}")
        cases = Case.objects.filter(external_reference=body["externalReference"]).count()
        self._trace.expect("cases with this reference", found=cases, wanted=1)
        refused = request(url, body=body)
        self._trace.expect("without a token", found=refused.status, wanted=401)

    def _sum_up(self) -> None:
        self._trace.step("The whole picture")
        invocations = {str(found.pk): found for found in Invocation.objects.filter(reference__in=self._references())}
        contacts = {found.external_reference: found.record_id for found in Contact.objects.all()}
        notes = {found.application_number: found for found in DecisionNote.objects.all()}
        rows = []
        for found in self._requests:
            invocation = invocations.get(str(found.invocation_id))
            note = notes.get(found.application_number)
            rows.append(
                [
                    found.external_reference,
                    found.application_number,
                    str(found.invocation_id)[:8],
                    invocation.state if invocation else None,
                    found.status,
                    contacts.get(found.application_number) if found.status == Status.APPROVED else None,
                    note.replay_id if note else None,
                ]
            )
        self._trace.table(["request", "application", "invocation", "state", "decision", "contact", "replay id"], rows)
        self._trace.expect("requests with an invocation", found=len(invocations), wanted=len(self._requests))
        ledger = request(f"{self._world.bank_url}/_ledger").body
        numbers = [found.application_number for found in self._requests if found.application_number]
        self._trace.fact("")
        self._trace.table(
            ["what", "count"],
            [
                ["sent: requests to the bank, answers lost included", len(ledger["request"])],
                ["received: callbacks the bank delivered", sum(row["status"] == 200 for row in ledger["delivery"])],
                ["created: contacts", Contact.objects.filter(external_reference__in=numbers).count()],
                ["created: opportunities", Opportunity.objects.filter(external_reference__in=numbers).count()],
                ["published: decisions", DecisionNote.objects.filter(application_number__in=numbers).count()],
                ["logged: callouts and callbacks in the integration log", IntegrationLogEntry.objects.count()],
            ],
        )

    # --- what the steps stand on ------------------------------------------------------------------------------------

    def _references(self) -> list[str]:
        return [found.record_id for found in self._requests]

    def _asks_bank(self, path: str) -> int:
        try:
            return request(f"{self._world.bank_url}{path}").status
        except OSError:
            return 0

    def _until(self, holds: Callable[[], bool]) -> bool:
        """Ask again and again until `holds`; `False` when the time is up."""
        pause = threading.Event()
        deadline = clock.monotonic_seconds() + WAIT_SECONDS
        while clock.monotonic_seconds() < deadline:
            close_old_connections()
            if holds():
                return True
            pause.wait(0.1)
        return False

    def _kill_what_is_due(self) -> None:
        if not self._kills:
            return
        counts = self._progress()
        for kill in [kill for kill in self._kills if counts[kill.what] >= kill.count]:
            self._kills.remove(kill)
            self._trace.fact(f"☠ {kill.process} is killed (SIGKILL) at {kill.what} {counts[kill.what]}")
            self._supervisor.kill(kill.process)

    def _progress(self) -> dict[str, int]:
        ledger: dict[str, list[dict[str, Any]]] = request(f"{self._world.bank_url}/_ledger").body
        taken = ledger["application"]
        return {
            "received": len(taken),
            "decided": sum(row["status"] != "pending" for row in taken),
            "delivered": sum(row["delivered_at"] is not None for row in taken),
            "told": DecisionNote.objects.count(),
        }
