"""`Idempotency-Key`: one effect and one answer, however often a request is sent."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier

import pytest
import requests
from django.db import connection

from apexrest.idempotency import remove_expired_answers
from apexrest.models import RecordedAnswer
from crm.models import Case
from isthmus.access.actions import issue_access_token
from isthmus.named_locks import try_hold

ORDER = {"number": "A-1", "lines": [{"sku": "x", "quantity": 1}]}
PATH = "/v2/orders"


def post(api, key, body=ORDER, path=PATH):
    return api.post(path, body, **({"Idempotency-Key": key} if key else {}))


def error(answer):
    (element,) = answer.json()
    return answer.status_code, element["errorCode"]


@pytest.mark.django_db
def test_the_second_time_gets_the_first_answer(api):
    first, second = post(api, "k-1"), post(api, "k-1")
    assert (first.status_code, second.status_code) == (201, 201)
    assert second.content == first.content
    assert second["Location"] == first["Location"]
    assert second["Content-Type"] == first["Content-Type"]
    assert "Idempotent-Replayed" not in first
    assert second["Idempotent-Replayed"] == "true"
    assert Case.objects.count() == 1


@pytest.mark.django_db
def test_a_quoted_key_is_the_same_key(api):
    assert post(api, '"k-1"').content == post(api, "k-1").content
    assert Case.objects.count() == 1


@pytest.mark.django_db
def test_another_key_is_another_request(api):
    assert post(api, "k-1").content != post(api, "k-2").content
    assert Case.objects.count() == 2


@pytest.mark.django_db
def test_the_same_key_with_another_request_is_refused(api):
    post(api, "k-1")
    assert error(post(api, "k-1", {**ORDER, "number": "A-2"})) == (422, "IDEMPOTENCY_KEY_REUSED")
    assert error(post(api, "k-1", path=f"{PATH}/x")) == (422, "IDEMPOTENCY_KEY_REUSED")
    assert error(post(api, "k-1", path=f"{PATH}?a=1")) == (422, "IDEMPOTENCY_KEY_REUSED")
    assert Case.objects.count() == 1


@pytest.mark.django_db
def test_keys_belong_to_their_caller(api, caller, stranger):
    from isthmus.access.models import PermissionSetAssignment
    from tests.integration.apexrest.conftest import Api

    colleague = type(caller).objects.create_user("colleague")
    for held in PermissionSetAssignment.objects.filter(user=caller):
        PermissionSetAssignment.objects.create(user=colleague, permission_set=held.permission_set)
    post(api, "k-1")
    assert "Idempotent-Replayed" not in post(Api(issue_access_token(colleague)), "k-1")
    assert error(post(stranger, "k-1")) == (403, "INSUFFICIENT_ACCESS")
    assert Case.objects.count() == 2


@pytest.mark.django_db
@pytest.mark.parametrize("key", [" ", "a b", "x" * 256, '"', "ключ".encode().decode("latin-1")])
def test_a_key_that_cannot_be_one_is_refused(api, key):
    assert error(api.post(PATH, ORDER, **{"Idempotency-Key": key})) == (400, "INVALID_IDEMPOTENCY_KEY")
    assert not Case.objects.exists()


@pytest.mark.django_db
def test_an_endpoint_may_insist_on_a_key(api):
    assert error(api.post(PATH, ORDER)) == (400, "IDEMPOTENCY_KEY_MISSING")
    assert not Case.objects.exists()


@pytest.mark.django_db
def test_a_refusal_is_not_recorded_because_nothing_happened(api):
    for _ in range(2):
        answer = api.post("/t/trouble/refuse", {"subject": "x"}, **{"Idempotency-Key": "k"})
        assert error(answer) == (409, "CLOSED")
    assert not RecordedAnswer.objects.exists()
    assert api.post("/t/trouble/fine", {"subject": "x"}, **{"Idempotency-Key": "k"}).json() == {"kept": True}


@pytest.mark.django_db
def test_reading_needs_no_key_and_takes_none(api):
    assert api.get("/t/echo/a", **{"Idempotency-Key": "k"}).status_code == 200
    assert not RecordedAnswer.objects.exists()


@pytest.mark.django_db
def test_after_its_time_a_key_is_new_and_the_old_answer_goes(api, caller, moving_clock):
    first = post(api, "k-1")
    moving_clock.move(timedelta(hours=23, minutes=59))
    api.token = issue_access_token(caller)
    assert post(api, "k-1").content == first.content
    moving_clock.move(timedelta(minutes=2))
    api.token = issue_access_token(caller)
    assert post(api, "k-1").content != first.content
    post(api, "k-2")
    moving_clock.move(timedelta(hours=25))
    assert remove_expired_answers() == {"removed": 2}


@pytest.mark.django_db(transaction=True)
def test_while_the_first_one_runs_others_are_told_to_wait(live_server, api, caller):
    token = issue_access_token(caller)
    together = Barrier(10)
    url = f"{live_server.url}/services/apexrest{PATH}"
    headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": "k-1"}

    def send(_number):
        together.wait(timeout=30)
        return requests.post(url, json=ORDER, headers=headers, timeout=60)  # noqa: TID251 - a caller from outside

    with ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(send, range(10)))
    assert Case.objects.count() == 1
    taken = [answer for answer in answers if answer.status_code == 201]
    waiting = [answer for answer in answers if answer.status_code == 409]
    assert len(taken) + len(waiting) == 10
    assert len({answer.content for answer in taken}) == 1
    assert {answer.headers["Retry-After"] for answer in waiting} <= {"1"}
    assert {answer.json()[0]["errorCode"] for answer in waiting} <= {"IDEMPOTENCY_KEY_IN_USE"}


@pytest.mark.django_db(transaction=True)
def test_a_held_key_is_told_at_once(api, caller):
    held, done = threading.Event(), threading.Event()

    def hold():
        with try_hold(f"idempotency {caller.pk}/ k-1") as is_held:
            assert is_held
            held.set()
            done.wait(timeout=30)
        connection.close()

    holder = threading.Thread(target=hold)
    holder.start()
    held.wait(timeout=30)
    answer = post(api, "k-1")
    done.set()
    holder.join()
    assert error(answer) == (409, "IDEMPOTENCY_KEY_IN_USE")
    assert answer["Retry-After"] == "1"
    assert post(api, "k-1").status_code == 201
