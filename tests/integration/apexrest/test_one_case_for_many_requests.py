"""However many identical requests come at once, there is one case and one 201."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
import requests
from django.db import connection

from callouts.models import IntegrationLogEntry, Outcome
from crm.models import Case
from isthmus.access.actions import issue_access_token
from tests.integration.apexrest.conftest import Api

REQUESTS = 20
REQUEST = {
    "externalReference": "WEB-1",
    "customerEmail": "ann@example.org",
    "subject": "No power",
    "description": "Since noon.",
}


@pytest.mark.django_db(transaction=True)
def test_twenty_at_once_make_one_case(live_server, caller):
    token = issue_access_token(caller)
    together = Barrier(REQUESTS)

    def post(_number):
        together.wait(timeout=30)
        return requests.post(  # noqa: TID251 - a caller from outside
            f"{live_server.url}/services/apexrest/t/support-requests/",
            json=REQUEST,
            headers={"Authorization": f"Bearer {token}"},
            timeout=60,
        )

    with ThreadPoolExecutor(REQUESTS) as pool:
        answers = list(pool.map(post, range(REQUESTS)))

    case = Case.all_objects.get()
    assert sorted(answer.status_code for answer in answers) == [200] * (REQUESTS - 1) + [201]
    assert {answer.json()["caseId"] for answer in answers} == {case.record_id}
    assert IntegrationLogEntry.objects.filter(outcome=Outcome.SUCCEEDED).count() == REQUESTS


@pytest.mark.django_db(transaction=True)
def test_a_hundred_threads_make_one_case(caller):
    token = issue_access_token(caller)
    together = Barrier(100)

    def post(_number):
        together.wait(timeout=60)
        try:
            answer = Api(token).post("/t/support-requests/", REQUEST)
        finally:
            connection.close()
        return answer.status_code, answer.json()["caseId"]

    with ThreadPoolExecutor(100) as pool:
        answers = list(pool.map(post, range(100)))

    case = Case.all_objects.get()
    assert sorted(answers) == [(200, case.record_id)] * 99 + [(201, case.record_id)]
