"""Whatever ends a method, nothing is half done, and nothing internal gets out."""

import pytest

from callouts.models import Direction, IntegrationLogEntry, Outcome
from crm.models import Case

pytestmark = pytest.mark.django_db


def post(api, which):
    return api.post(f"/t/trouble/{which}", {"subject": "x"}, X_Request_Id="corr-1")


def test_what_goes_well_stays(api):
    assert post(api, "fine").json() == {"kept": True}
    assert Case.objects.get().subject == "x"


@pytest.mark.parametrize(
    ("which", "status", "body"),
    [
        ("refuse", 409, [{"message": "Not today.", "errorCode": "CLOSED", "fields": ["subject"]}]),
        (
            "invalid",
            400,
            [
                {
                    "message": "subject: Too silly.; Odd.",
                    "errorCode": "FIELD_CUSTOM_VALIDATION_EXCEPTION",
                    "fields": ["subject"],
                }
            ],
        ),
        ("status", 422, {"reason": "unprocessable"}),
    ],
)
def test_a_refusal_undoes_everything(api, which, status, body):
    answer = post(api, which)
    assert (answer.status_code, answer.json()) == (status, body)
    assert not Case.objects.exists()


@pytest.mark.parametrize("which", ["break", "unavailable", "unserialisable", "header"])
def test_a_bug_undoes_everything_and_tells_a_correlation_id(api, which, caplog):
    answer = post(api, which)
    assert answer.status_code == 500
    assert answer.json() == [
        {"message": "An unexpected error occurred. Give this id to support: corr-1", "errorCode": "APEX_ERROR"}
    ]
    assert answer["X-Request-Id"] == "corr-1"
    assert "Set-Cookie" not in answer
    assert not Case.objects.exists()
    record = next(record for record in caplog.records if "endpoint.failed" in str(record.msg))
    assert record.msg["endpoint"] == "tests.rest_samples.rest_resources.Trouble.create"
    assert record.msg["exc_info"]


# --- the integration log --------------------------------------------------------------------------------------------


def entry():
    return IntegrationLogEntry.objects.get()


def test_a_call_that_came_in_is_in_the_log(api, caller, moving_clock):
    post(api, "fine")
    found = entry()
    assert (found.direction, found.outcome, found.status_code) == (Direction.INBOUND, Outcome.SUCCEEDED, 200)
    assert (found.operation, found.method) == ("POST /t/trouble/*", "POST")
    assert found.url.endswith("/services/apexrest/t/trouble/fine")
    assert found.user == caller
    assert found.correlation_id == "corr-1"
    assert '"subject": "x"' in found.request_body
    assert '"kept":true' in found.response_body
    assert found.started_at == moving_clock.now()
    assert (found.error_code, found.error_message) == ("", "")
    assert api.token not in repr(vars(found))


@pytest.mark.parametrize(
    ("which", "outcome", "status", "code", "message"),
    [
        ("refuse", Outcome.REFUSED, 409, "CLOSED", "Not today."),
        ("break", Outcome.FAILED, 500, "APEX_ERROR", "RuntimeError in the endpoint; the log has its trace."),
        ("status", Outcome.REFUSED, 422, "", ""),
    ],
)
def test_the_row_stays_when_the_work_is_undone(api, which, outcome, status, code, message):
    post(api, which)
    found = entry()
    assert (found.outcome, found.status_code) == (outcome, status)
    assert (found.error_code, found.error_message) == (code, message)
    assert not Case.objects.exists()
    assert "hunter2" not in repr(vars(found))


def test_refusals_before_the_method_are_in_the_log_too(api, stranger):
    stranger.post("/t/trouble/fine", {"subject": "x"})
    api.send("DELETE", "/t/trouble/fine")
    api.post("/t/trouble/fine", {"subject": 1})
    found = IntegrationLogEntry.objects.order_by("started_at")
    assert [(one.outcome, one.status_code, one.error_code) for one in found] == [
        (Outcome.REFUSED, 403, "INSUFFICIENT_ACCESS"),
        (Outcome.REFUSED, 405, "METHOD_NOT_ALLOWED"),
        (Outcome.REFUSED, 400, "JSON_PARSER_ERROR"),
    ]


def test_strangers_cannot_fill_the_log(nobody, api):
    nobody.post("/t/trouble/fine", {"subject": "x"})
    api.post("/nowhere", {"subject": "x"})
    assert not IntegrationLogEntry.objects.exists()
