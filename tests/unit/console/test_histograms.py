"""Percentiles that come from buckets are those of the durations themselves, to two in a hundred."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isthmus.console.rollups.histograms import RELATIVE_ERROR, SMALLEST_MILLISECONDS, Histogram, bucket_of, middle_of

durations = st.one_of(
    st.floats(min_value=0, max_value=1e9, allow_nan=False),
    st.integers(min_value=0, max_value=100_000),
    st.floats(min_value=0, max_value=50, allow_nan=False),
)


def exact(values, percent):
    ordered = sorted(values)
    return ordered[max(1, math.ceil(percent / 100 * len(ordered))) - 1]


@given(st.lists(durations, min_size=1, max_size=300), st.sampled_from([0, 1, 50, 90, 95, 99, 99.9, 100]))
def test_a_percentile_is_near_the_exact_one(values, percent):
    found = Histogram()
    for value in values:
        found.add(value)
    wanted = exact(values, percent)
    assert abs(found.percentile(percent) - wanted) <= max(SMALLEST_MILLISECONDS, wanted * RELATIVE_ERROR * 1.001)


@given(st.lists(st.lists(durations, max_size=60), max_size=8))
def test_the_sum_of_histograms_is_the_histogram_of_the_sum(parts):
    together, added = Histogram(), Histogram()
    for part in parts:
        one = Histogram()
        for value in part:
            one.add(value)
            together.add(value)
        # By way of JSON, as rows keep them.
        added.merge(Histogram(one.as_json()))
    assert added == together
    assert added.total == sum(map(len, parts))


@given(durations, durations)
def test_what_is_longer_is_never_in_an_earlier_bucket(one, other):
    assert (bucket_of(one) <= bucket_of(other)) or one > other


def test_a_year_of_milliseconds_takes_few_buckets():
    assert bucket_of(365 * 86_400_000) < 620
    assert middle_of(0) == SMALLEST_MILLISECONDS


def test_nothing_has_no_percentile():
    assert Histogram().percentile(50) is None


@pytest.mark.parametrize("percent", [50, 100])
def test_one_duration_is_every_percentile(percent):
    found = Histogram()
    found.add(0.2)
    assert found.percentile(percent) == SMALLEST_MILLISECONDS
