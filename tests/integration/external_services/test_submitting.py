"""Asynchronous operations: committed before they leave, the same reference is the same use, states move forward."""

import json
from datetime import timedelta
from threading import Barrier, Thread

import pytest
from django.db import connection, transaction

from callouts import egress
from callouts.errors import ConnectFailed, ConnectionLost, RepeatableInDoubt, UncommittedWorkPending
from callouts.external_services import external_service
from callouts.external_services.errors import (
    ArgumentsRefused,
    HandlerRefused,
    InvocationInDoubt,
    ReferenceReused,
    RequestRefused,
    ServiceFailed,
    UnexpectedAnswer,
)
from callouts.external_services.models import Invocation
from callouts.models import IntegrationLogEntry
from crm.models import Contact
from isthmus.jobs.models import Job
from tests.service_fixtures import APPLICATION, SUBMIT, Submitted, callback_path
from tests.service_handlers import Handles, Outcome

pytestmark = pytest.mark.django_db
TAKEN = {"status": 201, "json": {"applicationNumber": "A-1"}}


def submit(service, reference="lead-1", callback=Outcome, **more):
    return service.submit_application(
        body=more.pop("body", APPLICATION), callback=callback, reference=reference, **more
    )


def test_a_submission(bank, callout_mock, teller, moving_clock, correlation_id):
    callout_mock.post(SUBMIT, **TAKEN)
    answer = submit(bank, user=teller, record="00Q000000000001AAA", callback_timeout=timedelta(hours=2))
    assert (answer.status, answer.body, answer.is_repeated) == (201, {"applicationNumber": "A-1"}, False)
    [found] = Invocation.objects.all()
    assert answer.invocation_id == found.pk
    assert (found.state, found.reference, found.user, found.attempts) == ("Waiting", "lead-1", teller, 1)
    assert (found.response_status, found.response_body) == (201, {"applicationNumber": "A-1"})
    assert (found.submitted_at, found.expires_at) == (moving_clock.now(), moving_clock.now() + timedelta(hours=2))
    assert (found.correlation_id, found.record_id) == (correlation_id, "00Q000000000001AAA")
    assert (found.handler, found.request) == ("tests.service_handlers.Outcome", {"body": APPLICATION})
    [call] = callout_mock.calls
    assert call.headers["Idempotency-Key"] == found.idempotency_key
    token = found.callback_token.reveal()
    assert len(token) >= 43
    base = f"/services/callbacks/{token}"
    for name in ("applicationOutcomeApproved", "applicationOutcomeRejected", "applicationError"):
        assert callback_path(call, name) == f"{base}/{name}"
    assert call.json()["applicant"] == {"name": "Ada"}
    assert list(Invocation.objects.waiting()) == [found]
    entry = IntegrationLogEntry.objects.get()
    assert (entry.invocation_id, entry.correlation_id) == (found.pk, correlation_id)


def test_the_token_is_nowhere_to_be_read(bank, callout_mock):
    callout_mock.post(SUBMIT, **TAKEN)
    submit(bank)
    token = Invocation.objects.get().callback_token.reveal()
    tables = connection.introspection.table_names()
    with connection.cursor() as cursor:
        for table in tables:
            cursor.execute(f"SELECT * FROM {connection.ops.quote_name(table)}")
            assert token not in repr(cursor.fetchall()), table


class Looking:
    """A sender that looks at the database while a request is under way, then answers or breaks off."""

    def __init__(self, answer=None, error=None, meanwhile=None):
        self.calls, self.states = [], []
        self._answer, self._error, self._meanwhile = answer, error, meanwhile

    def send(self, request, *, route, deadline, timing=None):
        self.calls.append(request)
        seen = []

        def look():
            seen.append(list(Invocation.objects.values_list("state", flat=True)))
            connection.close()

        thread = Thread(target=look)
        thread.start()
        thread.join()
        self.states += seen
        if self._meanwhile:
            self._meanwhile(self, request)
        if self._error:
            raise self._error
        return self._answer


@pytest.mark.django_db(transaction=True)
def test_the_row_is_committed_before_the_request_leaves(bank):
    sender = Looking(error=ConnectionLost())
    with egress.use(sender), pytest.raises(RepeatableInDoubt):
        submit(bank)
    assert sender.states == [["Submitted"]]
    [found] = Invocation.objects.in_doubt()
    assert (found.state, found.response_status) == ("Submitted", None)


def test_the_same_reference_is_the_same_invocation(bank, callout_mock):
    callout_mock.post(SUBMIT, **TAKEN)
    first = submit(bank)
    again = submit(bank)
    assert (again.invocation_id, again.status, again.body) == (first.invocation_id, 201, {"applicationNumber": "A-1"})
    assert again.is_repeated
    assert len(callout_mock.calls) == 1
    other = submit(bank, reference="lead-2")
    assert other.invocation_id != first.invocation_id
    keys = [call.headers["Idempotency-Key"] for call in callout_mock.calls]
    assert len(set(keys)) == 2


def test_without_a_reference_each_call_is_another_use(bank, callout_mock):
    callout_mock.post(SUBMIT, **TAKEN)
    ids = {submit(bank, reference=None).invocation_id for _ in range(2)}
    assert len(ids) == Invocation.objects.count() == 2


def test_a_reference_does_not_stand_for_other_arguments(bank, callout_mock):
    callout_mock.post(SUBMIT, **TAKEN)
    submit(bank)
    with pytest.raises(ReferenceReused, match="lead-1"):
        submit(bank, body={**APPLICATION, "requestedAmount": 1})
    assert (len(callout_mock.calls), Invocation.objects.count()) == (1, 1)


@pytest.mark.parametrize(("error", "raised"), [(ConnectionLost(), RepeatableInDoubt), (ConnectFailed(), ConnectFailed)])
def test_what_has_no_answer_is_sent_again_with_the_same_key_and_addresses(bank, callout_mock, error, raised):
    callout_mock.post(SUBMIT, error=error)
    callout_mock.post(SUBMIT, **TAKEN)
    with pytest.raises(raised) as lost:
        submit(bank)
    assert lost.value.retryable
    found = Invocation.objects.get()
    assert (found.state, found.last_sent_at is None) == ("Submitted", isinstance(error, ConnectFailed))
    answer = submit(bank)
    assert (answer.status, answer.invocation_id, answer.is_repeated) == (201, found.pk, False)
    first, second = callout_mock.calls
    assert first.body == second.body
    assert first.headers["Idempotency-Key"] == second.headers["Idempotency-Key"]
    found.refresh_from_db()
    assert (found.state, found.attempts, found.reason) == ("Waiting", 2, "")


def test_without_an_idempotency_key_what_may_have_arrived_is_not_sent_again(mortgages, callout_mock):
    callout_mock.post(SUBMIT, error=ConnectionLost())
    body = {"applicant": {"name": "Ada"}}
    with pytest.raises(ConnectionLost):
        submit(mortgages, body=body)
    with pytest.raises(InvocationInDoubt, match="may have arrived"):
        submit(mortgages, body=body)
    assert len(callout_mock.calls) == 1


def test_without_an_idempotency_key_what_surely_did_not_arrive_is_sent_again(mortgages, callout_mock):
    callout_mock.post(SUBMIT, error=ConnectFailed())
    callout_mock.post(SUBMIT, **TAKEN)
    body = {"applicant": {"name": "Ada"}}
    with pytest.raises(ConnectFailed):
        submit(mortgages, body=body)
    assert submit(mortgages, body=body).status == 201


@pytest.mark.parametrize(
    ("answer", "error", "state", "is_repeatable"),
    [
        ({"status": 422, "json": {"error": "no"}}, RequestRefused, "Failed", False),
        ({"status": 401}, RequestRefused, "Submitted", True),
        ({"status": 503}, ServiceFailed, "Submitted", True),
        ({"status": 500}, ServiceFailed, "Submitted", True),
        (
            {"status": 200, "body": "<h1>", "headers": {"Content-Type": "text/html"}},
            UnexpectedAnswer,
            "Submitted",
            True,
        ),
    ],
)
def test_error_answers(bank, callout_mock, answer, error, state, is_repeatable):
    callout_mock.post(SUBMIT, **answer)
    callout_mock.post(SUBMIT, **TAKEN)
    with pytest.raises(error):
        submit(bank)
    found = Invocation.objects.get()
    assert found.state == state
    assert str(answer["status"]) in found.reason
    if is_repeatable:
        assert submit(bank).status == 201
        assert Invocation.objects.get().state == "Waiting"
        return
    with pytest.raises(error) as again:
        submit(bank)
    assert (again.value.response_status, again.value.body, again.value.invocation_id) == (
        422,
        {"error": "no"},
        found.pk,
    )
    assert len(callout_mock.calls) == 1
    assert found.finished_at is not None


def test_what_nobody_can_repeat_fails_when_it_did_not_arrive(bank, callout_mock):
    callout_mock.post(SUBMIT, error=ConnectFailed())
    with pytest.raises(ConnectFailed):
        submit(bank, reference=None)
    assert Invocation.objects.get().state == "Failed"


def test_what_the_document_refuses_leaves_no_row(bank, callout_mock):
    for body in ({}, {"applicant": {}, "requestedAmount": 1}, None):
        with pytest.raises(ArgumentsRefused):
            submit(bank, body=body)
    assert not Invocation.objects.exists()
    assert not Job.objects.exists()
    assert callout_mock.calls == []


@pytest.mark.parametrize(
    ("arguments", "pointer"),
    [
        (
            {"body": {**APPLICATION, "callbackUrlForOutcomes": {"approved": "http://mine"}}},
            "/body/callbackUrlForOutcomes/approved",
        ),
        ({"callback_url_for_error_cases": "http://mine"}, "/callbackUrlForErrorCases"),
        ({"body": {**APPLICATION, "callbackUrlForOutcomes": "text"}}, "/body/callbackUrlForOutcomes/approved"),
    ],
)
def test_callback_addresses_are_ours_to_fill_in(bank, callout_mock, arguments, pointer):
    with pytest.raises(ArgumentsRefused) as refused:
        submit(bank, **arguments)
    assert pointer in [problem.pointer for problem in refused.value.problems]
    assert not Invocation.objects.exists()


def test_handlers_that_cannot_be_used(bank, callout_mock):
    class Local(Outcome):
        pass

    for handler in (Local, Handles, Outcome(), str):
        with pytest.raises(HandlerRefused):
            submit(bank, callback=handler)
    assert not Invocation.objects.exists()
    assert callout_mock.calls == []


@pytest.mark.django_db(transaction=True)
def test_an_open_transaction_is_refused(bank, callout_mock):
    with transaction.atomic(), pytest.raises(UncommittedWorkPending, match="in a job"):
        submit(bank)
    assert not Invocation.objects.exists()
    assert callout_mock.calls == []


def test_secrets_in_the_arguments_are_not_kept(bank, callout_mock):
    callout_mock.post(SUBMIT, **TAKEN)
    submit(bank, body={**APPLICATION, "password": "hunter2"})
    assert Invocation.objects.get().request["body"]["password"] == "********"
    assert callout_mock.calls[0].json()["password"] == "hunter2"


@pytest.mark.django_db(transaction=True)
def test_one_reference_used_by_many_at_once_is_one_invocation(bank, callout_mock):
    callout_mock.post(SUBMIT, **TAKEN)
    barrier, answers, errors = Barrier(8), [], []

    def run():
        try:
            barrier.wait()
            answers.append(submit(external_service("Bank")))
        except BaseException as error:
            errors.append(error)
        finally:
            connection.close()

    threads = [Thread(target=run) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert Invocation.objects.count() == 1
    assert {answer.invocation_id for answer in answers} == {Invocation.objects.get().pk}
    assert len({call.headers["Idempotency-Key"] for call in callout_mock.calls}) == 1
    assert Invocation.objects.get().state == "Waiting"


@pytest.mark.django_db(transaction=True)
def test_a_callback_may_come_before_the_first_answer(bank, jobs):
    """It is processed; the answer is kept afterwards, and the state does not go back."""
    answers = []

    def call_back(_sender, request):
        call = type("Sent", (), {"url": request.url, "json": lambda self: json.loads(request.body)})()
        answers.append(Submitted(None, call).call_back().status_code)

    answer = _response(201, {"applicationNumber": "A-1"})
    with egress.use(Looking(answer=answer, meanwhile=call_back)):
        first = submit(bank)
    assert answers == [200]
    assert (first.status, first.body) == (201, {"applicationNumber": "A-1"})
    found = Invocation.objects.get()
    assert (found.state, found.response_status, found.response_body) == ("Completed", 201, {"applicationNumber": "A-1"})
    assert list(Contact.objects.values_list("last_name", flat=True)) == ["approved A-1"]


def call_back(_sender, request):
    call = type("Sent", (), {"url": request.url, "json": lambda self: json.loads(request.body)})()
    assert Submitted(None, call).call_back().status_code == 200


@pytest.mark.django_db(transaction=True)
def test_a_callback_may_come_though_the_first_answer_is_lost(bank, jobs, callout_mock):
    """The answer is asked for again with the same key; the state stays."""
    with egress.use(Looking(error=ConnectionLost(), meanwhile=call_back)), pytest.raises(RepeatableInDoubt):
        submit(bank)
    callout_mock.post(SUBMIT, **TAKEN)
    again = submit(bank)
    assert (again.status, again.body, again.is_repeated) == (201, {"applicationNumber": "A-1"}, False)
    found = Invocation.objects.get()
    assert (found.state, found.response_status, found.attempts) == ("Completed", 201, 2)
    assert callout_mock.calls[0].headers["Idempotency-Key"] == found.idempotency_key
    assert Contact.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_without_an_idempotency_key_a_lost_answer_stays_lost(mortgages, jobs, callout_mock):
    body = {"applicant": {"name": "Ada"}}
    with egress.use(Looking(error=ConnectionLost(), meanwhile=call_back)), pytest.raises(ConnectionLost):
        submit(mortgages, body=body)
    again = submit(mortgages, body=body)
    assert (again.status, again.body, again.is_repeated) == (None, None, True)
    assert Invocation.objects.get().state == "Completed"
    assert callout_mock.calls == []


def test_after_its_time_nothing_is_sent_again(bank, callout_mock, moving_clock):
    callout_mock.post(SUBMIT, error=ConnectionLost())
    with pytest.raises(RepeatableInDoubt):
        submit(bank)
    moving_clock.move(timedelta(hours=24))
    assert submit(bank).status is None
    assert len(callout_mock.calls) == 1


def _response(status, body):
    import io

    import requests

    answer = requests.Response()
    answer.status_code = status
    answer.headers["Content-Type"] = "application/json"
    answer.raw = io.BytesIO(json.dumps(body).encode())
    return answer
