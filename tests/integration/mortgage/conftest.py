"""The demo's world inside a test: the real bank over real HTTP, everything else set up as the demo does it."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from django.contrib.auth.models import User

from events.actions import synchronise
from examples.bank.ledger import Ledger
from examples.bank.server import Bank, serve
from examples.mortgage.jobs import submit_application
from examples.mortgage.models import MortgageRequest
from examples.mortgage.outside import CLIENT_ID, CLIENT_SECRET
from examples.mortgage.seed import applicants, open_requests, seed_access, seed_bank, seed_service
from isthmus import clock
from isthmus.jobs.models import Job
from isthmus.jobs.testing import JobRunner


@dataclass
class Desk:
    """A mortgage desk with one applicant, and the bank on the other side."""

    bank: Bank
    request: MortgageRequest
    jobs: JobRunner

    def submit(self) -> Job:
        """Enqueue the application and run what is due, once."""
        job = submit_application.enqueue(
            request_id=self.request.pk, patience_seconds=3_600.0, user=User.objects.get(username="operator")
        )
        self.jobs.run_all()
        job.refresh_from_db()
        return job

    def try_again(self, job: Job) -> Job:
        """Let the delay before the job's next attempt pass, and run it."""
        Job.objects.filter(pk=job.pk).update(run_at=clock.now())
        self.jobs.run_all()
        job.refresh_from_db()
        return job

    @property
    def applications(self) -> list[dict[str, object]]:
        return self.bank.ledger.as_json()["application"]


@pytest.fixture
def bank(tmp_path: Path) -> Iterator[tuple[Bank, str]]:
    """The bank, listening on loopback, with its address. Nobody decides: the desk is closed."""
    made = Bank(Ledger(tmp_path / "ledger.sqlite3"), CLIENT_ID, CLIENT_SECRET, hang_seconds=2.0)
    server = serve(made, 0)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield made, f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()
    thread.join()
    made.ledger.close()


@pytest.fixture
def desk(transactional_db, bank, jobs, settings) -> Desk:
    """Everything that one application needs, and one that can be approved."""
    settings.ISTHMUS_CALLOUTS_TIMEOUT_SECONDS = 1.0
    made, url = bank
    synchronise()
    seed_bank(url, client_id=CLIENT_ID, client_secret=CLIENT_SECRET)
    seed_access()
    seed_service()
    [request] = open_requests(User.objects.get(username="operator"), "TEST", applicants()[:1])
    return Desk(bank=made, request=request, jobs=jobs)
