"""The retry table, `Retry-After`, and ladders."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callouts import errors
from callouts.retrying import DEFAULT_DELAYS, Next, RetryPolicy, retry_after_seconds, what_is_wrong_with_delays
from credentials.errors import PrincipalAccessRefused, TokenEndpointFailed

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)


def decide(*, status=None, error=None, headers=None, repeatable=False, attempts=1, policy=None):
    return (policy or RetryPolicy()).decide(
        status=status, error=error, headers=headers, is_repeatable=repeatable, attempts=attempts, now=NOW
    )


@pytest.mark.parametrize(
    ("error", "unrepeatable", "repeatable"),
    [
        (errors.ConnectFailed(), Next.AGAIN, Next.AGAIN),
        (errors.TlsFailed(), Next.AGAIN, Next.AGAIN),
        (errors.SigningFailed(), Next.AGAIN, Next.AGAIN),
        (errors.CircuitOpen(), Next.AGAIN, Next.AGAIN),
        (errors.AnswerTimedOut(), Next.IN_DOUBT, Next.AGAIN),
        (errors.ConnectionLost(), Next.IN_DOUBT, Next.AGAIN),
        (errors.RedirectRefused(), Next.FAILED, Next.FAILED),
        (errors.EgressRefused(), Next.FAILED, Next.FAILED),
        (errors.InvalidCallout(), Next.FAILED, Next.FAILED),
        (PrincipalAccessRefused(), Next.HELD, Next.HELD),
        (TokenEndpointFailed(), Next.AGAIN, Next.AGAIN),
        (KeyboardInterrupt(), Next.IN_DOUBT, Next.AGAIN),
    ],
)
def test_what_an_error_means(error, unrepeatable, repeatable):
    assert decide(error=error).next == unrepeatable
    assert decide(error=error, repeatable=True).next == repeatable


@given(st.integers(100, 599), st.booleans(), st.integers(1, 40))
def test_every_status_has_one_meaning_and_the_ladder_ends(status, repeatable, attempts):
    found = decide(status=status, repeatable=repeatable, attempts=attempts)
    if attempts >= len(DEFAULT_DELAYS):
        assert found.next != Next.AGAIN
    if status < 400:
        assert found.next == Next.SUCCEEDED
    if found.next == Next.AGAIN:
        base = DEFAULT_DELAYS[attempts]
        assert 0.8 * base <= found.after_seconds <= 1.2 * base
        assert repeatable or status in {408, 425, 429, 503}


def test_the_wish_of_the_other_side_wins_and_is_capped():
    found = decide(status=429, headers={"retry-after": "90"})
    assert (found.after_seconds, found.by_their_wish) == (90, True)
    assert decide(status=429, headers={"Retry-After": "99999999"}).after_seconds == 86_400
    assert decide(status=503, headers={"Retry-After": "soon"}).by_their_wish is False


@given(st.integers(-10_000, 10_000_000))
def test_retry_after_as_a_date(seconds):
    moment = NOW + timedelta(seconds=seconds)
    found = retry_after_seconds({"Retry-After": format_datetime(moment, usegmt=True)}, now=NOW)
    assert found == max(0, seconds)


@given(st.text(max_size=40))
def test_retry_after_takes_any_text(text):
    found = retry_after_seconds({"Retry-After": text}, now=NOW)
    assert found is None or found >= 0


@pytest.mark.parametrize("delays", [[], [-1], ["1"], [True], [31 * 86_400], "0", {}, [0] * 51, [float("nan")]])
def test_ladders_that_are_none(delays):
    assert what_is_wrong_with_delays(delays)
    if isinstance(delays, list):
        with pytest.raises(ValueError, match=r"ladder|number"):
            RetryPolicy(delays=delays)


@pytest.mark.parametrize("jitter", [-0.1, 1])
def test_jitter_is_a_share(jitter):
    with pytest.raises(ValueError, match="Jitter"):
        RetryPolicy(jitter=jitter)
