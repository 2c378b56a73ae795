"""However many identical requests come at once, there is one case and one 201."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
import requests

from callouts.models import IntegrationLogEntry, Outcome
from crm.models import Case
from isthmus.access.actions import issue_access_token

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
