"""Secret arguments go in and never come out: not on a page, in a row, a log line, a trace, a result."""

import io
import json
import logging
from urllib.parse import quote

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import connection
from django.urls import reverse

from isthmus.jobs import Batch, current_job, enqueue, queueable
from isthmus.jobs.actions import retry, retry_failed
from isthmus.jobs.errors import ArgumentsRefused
from isthmus.jobs.models import BatchFailure, Job, JobLogLine
from isthmus.jobs.secret_arguments import Redactor
from isthmus.vault.actions import rotate, verify
from isthmus.vault.registry import encrypted_columns
from isthmus.vault.secret import MASK, Secret

CANARY = "canary-7 ö'\"\\/&"

pytestmark = pytest.mark.django_db

seen = []


@pytest.fixture(autouse=True)
def nothing_seen():
    seen.clear()


@queueable()
def sign_in(name: str, password: Secret, token: "Secret | None" = None, *, fail: bool = False) -> dict:
    text = password.reveal()
    seen.append((name, text, token))
    current_job().log(f"Signing in with {text}.", password=text, deep=[{text: quote(text)}])
    if fail:
        raise ValueError(f"{text!r} is wrong: {json.dumps({'password': text})} {quote(text, safe='')}") from KeyError(
            text
        )
    return {"echo": text, text: [text]}


class SignInAll(Batch):
    """Signs in several."""

    size = 1

    def start(self, users: list, password: Secret):
        seen.append(password.reveal())
        return users

    def execute(self, chunk):
        text = self.arguments["password"].reveal()
        if chunk == ["good"]:
            return
        if chunk == ["raises"]:
            raise ValueError(text)
        self.fail(chunk[0], ValueError(f"no {text}"))


@queueable()
def tell_everything(password: Secret) -> object:
    return password


def rows():
    """Return everything the database keeps of jobs, as one text."""
    found = []
    with connection.cursor() as cursor:
        for table in ("jobs_job", "jobs_joblogline", "jobs_batchrun", "jobs_batchfailure", "jobs_schedule"):
            cursor.execute(f"SELECT * FROM {table}")
            found += [str(row) for row in cursor.fetchall()]
    return "\n".join(found)


def spellings():
    return [CANARY, repr(CANARY)[1:-1], json.dumps(CANARY)[1:-1], quote(CANARY), quote(CANARY, safe=""), "canary-7"]


def told_by_command(*arguments):
    out = io.StringIO()
    call_command("job", *arguments, stdout=out)
    return out.getvalue()


def assert_nowhere(client, caplog):
    client.force_login(User.objects.create_superuser("admin"))
    places = [rows(), caplog.text, told_by_command("list", "--json")]
    for job in Job.objects.all():
        places += [
            told_by_command("show", str(job.pk), "--json"),
            client.get(reverse("jobs:detail", args=[job.pk])).content.decode(),
            client.get(reverse("admin:jobs_job_change", args=[job.pk])).content.decode(),
            str(vars(job)) + repr(job),
        ]
    places += [client.get(reverse("jobs:list")).content.decode(), client.get("/").content.decode()]
    for place in places:
        assert not [spelling for spelling in spellings() if spelling in place]


@pytest.mark.parametrize("fail", [False, True])
def test_a_secret_reaches_the_function_and_nothing_else(jobs, client, caplog, fail):
    caplog.set_level(logging.DEBUG)
    job = sign_in.enqueue(name="ada", password=CANARY, fail=fail)
    assert job.arguments == {"name": "ada", "password": MASK, "fail": fail}
    [ended] = jobs.run_all()
    assert seen == [("ada", CANARY, None)]
    assert ended.state == ("Failed" if fail else "Completed")
    line = JobLogLine.objects.get()
    assert (line.message, line.fields) == (f"Signing in with {MASK}.", {"password": MASK, "deep": [{MASK: MASK}]})
    if fail:
        assert ended.error == f'ValueError: \'{MASK}\' is wrong: {{"password": "{MASK}"}} {MASK}'
        assert "password.reveal()" not in ended.error
        assert "raise ValueError(" in ended.error_trace
    else:
        assert ended.result == {"echo": MASK, MASK: [MASK]}
    assert_nowhere(client, caplog)


def test_a_secret_of_a_batch_is_kept_as_well(jobs, client, caplog):
    caplog.set_level(logging.DEBUG)
    first = SignInAll.enqueue(users=["good", "raises", "marked"], password=Secret(CANARY))
    jobs.run_all()
    assert seen == [CANARY]
    assert [(each.error, each.items[0][2]) for each in BatchFailure.objects.all()] == [
        (f"ValueError: {MASK}", ""),
        ("", f"ValueError: no {MASK}"),
    ]
    retry_failed(first)
    jobs.run_all()
    assert seen == [CANARY, CANARY]
    assert_nowhere(client, caplog)


def test_a_retry_and_a_finalizer_open_their_own(jobs):
    job = sign_in.enqueue(name="ada", password=CANARY, fail=True, finalizer=sign_in.step(name="eve", password="other"))
    jobs.run_all()
    retry(job)
    jobs.run_all()
    assert [(name, text) for name, text, _ in seen] == [("ada", CANARY), ("eve", "other")] * 2
    assert "other" not in rows().replace("another", "")


def test_a_secret_that_is_returned_as_such_is_refused(jobs):
    tell_everything.enqueue(password=CANARY)
    [ended] = jobs.run_all()
    assert ended.error.startswith("ResultNotJson")


def test_a_secret_may_be_left_out_or_given_by_name(jobs):
    enqueue(f"{__name__}.sign_in", {"name": "ada", "password": Secret("a"), "token": None})
    enqueue(f"{__name__}.sign_in", {"name": "ada", "password": "b", "token": "t"})
    jobs.run_all()
    assert [(text, token and token.reveal()) for _, text, token in seen] == [("a", None), ("b", "t")]


@pytest.mark.parametrize("wrong", [7, ["hunter2"], MASK, "nul\x00"])
def test_what_is_no_secret_is_refused_without_being_told(wrong):
    with pytest.raises(ArgumentsRefused) as refused:
        sign_in.enqueue(name="ada", password=wrong)
    assert "hunter2" not in refused.value.message
    assert not Job.objects.exists()


def test_a_secret_where_none_is_expected_is_refused():
    with pytest.raises(ArgumentsRefused, match="name is of type Secret"):
        sign_in.enqueue(name=Secret("hunter2"), password="x")


def test_secrets_without_a_name_of_their_own_are_refused():
    def unnamed(**secrets: Secret) -> None: ...

    unnamed.__qualname__ = "unnamed"
    with pytest.raises(TypeError, match="name each secret parameter"):
        queueable()(unnamed)


def test_a_sealed_argument_opens_in_its_own_row_only(jobs):
    one, other = (sign_in.enqueue(name=name, password=f"of {name}") for name in ("ada", "eve"))
    Job.objects.filter(pk=other.pk).update(sealed_arguments=Job.objects.get(pk=one.pk).sealed_arguments.as_sealed())
    first, second = jobs.run_all()
    assert (first.state, second.state) == ("Completed", "Failed")
    assert second.error.startswith("SealBroken")


def test_the_rotation_of_keys_takes_them_along(jobs):
    sign_in.enqueue(name="ada", password=CANARY)
    [column] = [each for each in encrypted_columns() if each.label == "jobs.job.sealed_arguments"]
    assert rotate(column).broken == []
    assert sum(verify(column).keys.values()) == 1


def test_one_secret_inside_another_is_taken_out_as_well():
    redactor = Redactor([Secret("pass"), Secret("password")])
    assert redactor.text("password pass word") == f"{MASK} {MASK} word"
    assert Redactor([Secret("")]).text("unchanged") == "unchanged"
    assert redactor.value({"n": 1, "t": ("pass",) and ["pass", None]}) == {"n": 1, "t": [MASK, None]}


def test_many_jobs_at_once_keep_their_secrets_each_for_itself(jobs):
    made = sign_in.enqueue_many([{"name": name, "password": f"{CANARY}-{name}"} for name in ("ada", "bob")])
    assert [job.arguments["password"] for job in made] == [MASK, MASK]
    assert {ended.state for ended in jobs.run_all()} == {"Completed"}
    assert sorted(seen) == [("ada", f"{CANARY}-ada", None), ("bob", f"{CANARY}-bob", None)]
    assert CANARY not in str(list(Job.objects.values("arguments", "result", "error", "error_trace")))
