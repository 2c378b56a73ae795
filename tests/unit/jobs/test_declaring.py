"""What may be declared as a background operation, and what may be passed to it."""

import math
import uuid
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isthmus.jobs import queueable
from isthmus.jobs.cron import is_cron, next_after
from isthmus.jobs.errors import ArgumentsRefused, UnknownFunction
from isthmus.jobs.json_values import NotJson, as_json_value
from isthmus.jobs.registry import find

LIMIT = 10_000


@queueable(max_attempts=4, retry_delays=(1, 10))
def declared_sample(left: int, right: int = 2) -> int:
    """Multiply."""
    return left * right


def test_a_declared_function_is_still_a_function():
    assert declared_sample(3) == 6
    assert declared_sample.__doc__ == "Multiply."
    assert declared_sample.__name__ == "declared_sample"


def test_the_last_retry_delay_repeats():
    delays = [declared_sample.declaration.delay_after(failures) for failures in (1, 2, 3, 9)]
    assert delays == [1, 10, 10, 10]


def test_without_retry_delays_the_next_attempt_follows_at_once():
    declaration = find("isthmus.jobs.jobs.purge_ended_jobs")
    assert type(declaration)(**{**vars(declaration), "retry_delays": ()}).delay_after(3) == 0


def test_a_function_inside_a_function_is_refused():
    with pytest.raises(TypeError, match="a function of a module"):

        @queueable()
        def inner() -> None: ...


@pytest.mark.parametrize("wrong", [{"max_attempts": 0}, {"time_limit_seconds": 0}, {"retry_delays": (-1,)}])
def test_impossible_numbers_are_refused(wrong):
    with pytest.raises(TypeError, match="positive"):
        queueable(**wrong)


def named(name, parameters="", prefix=""):
    """Return a function of this module, made from text."""
    scope = {"__name__": __name__}
    exec(f"{prefix}def {name}({parameters}): return None", scope)
    return scope[name]


def test_a_coroutine_is_refused():
    with pytest.raises(TypeError, match="not a coroutine"):
        queueable()(named("later", prefix="async "))


@pytest.mark.parametrize("name", ["after", "delay", "subject", "unique_key", "user"])
def test_a_parameter_named_like_one_of_enqueue_is_refused(name):
    with pytest.raises(TypeError, match=f"itself has a parameter '{name}'"):
        queueable()(named("taken", name))


def test_two_functions_of_one_name_are_refused():
    queueable()(named("twin"))
    with pytest.raises(ValueError, match="declared twice"):
        queueable()(named("twin", "different"))


@pytest.mark.parametrize("name", ["", "nowhere", "no.such.module", "os.getcwd", "isthmus.jobs.jobs.nothing"])
def test_what_is_not_declared_cannot_be_found(name):
    with pytest.raises(UnknownFunction):
        find(name)


def test_arguments_that_do_not_fit_are_refused():
    accept = declared_sample.declaration.accept
    assert accept({"left": 1}) == {"left": 1}
    for wrong in ({}, {"left": 1, "other": 2}):
        with pytest.raises(ArgumentsRefused, match="declared_sample"):
            accept(wrong)


@pytest.mark.parametrize(
    "value",
    [object(), {1}, b"bytes", datetime(2026, 1, 1, tzinfo=UTC), uuid.UUID(int=1), math.nan, math.inf, {1: "key"}],
)
def test_what_json_cannot_carry_is_refused_and_named(value):
    with pytest.raises(ArgumentsRefused, match=r"left|declared_sample"):
        declared_sample.declaration.accept({"left": value})


@pytest.mark.parametrize("text", ["a\x00b", "\ud800"])
def test_text_that_the_database_cannot_keep_is_refused(text):
    with pytest.raises(NotJson, match="cannot keep"):
        as_json_value({"deep": [text]}, limit_bytes=LIMIT)
    with pytest.raises(NotJson, match="cannot keep"):
        as_json_value({text: 1}, limit_bytes=LIMIT)


def test_a_value_that_is_too_large_is_refused():
    assert as_json_value("x" * (LIMIT - 2), limit_bytes=LIMIT)
    with pytest.raises(NotJson, match="limit is 10000"):
        as_json_value("x" * (LIMIT - 1), limit_bytes=LIMIT)


def test_the_place_of_a_bad_value_is_told():
    with pytest.raises(NotJson, match=r"rows\[1\]\.when is of type datetime"):
        as_json_value([{}, {"when": datetime(2026, 1, 1, tzinfo=UTC)}], at="rows", limit_bytes=LIMIT)


plain_text = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\x00"), max_size=20)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | plain_text,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(plain_text, inner, max_size=4),
    max_leaves=20,
)


@given(json_values)
def test_json_comes_through_unchanged(value):
    assert as_json_value(value, limit_bytes=1_000_000) == value


def test_tuples_become_lists_as_json_has_no_tuples():
    assert as_json_value({"pair": (1, (2, 3))}, limit_bytes=LIMIT) == {"pair": [1, [2, 3]]}


@pytest.mark.parametrize(
    ("expression", "valid"),
    [("17 3 * * *", True), ("*/5 * * * 1-5", True), ("* * * * * *", False), ("61 * * * *", False), ("", False)],
)
def test_cron_has_five_fields(expression, valid):
    assert is_cron(expression) is valid


def test_the_next_run_is_after_the_given_moment():
    assert next_after("17 3 * * *", datetime(2026, 6, 1, 3, 17, tzinfo=UTC)) == datetime(2026, 6, 2, 3, 17, tzinfo=UTC)
