"""The ground below every floor: clock, ids, correlation, options, errors."""

from datetime import timedelta

import pytest
from django.test import override_settings

from isthmus import clock, conf, correlation, health, ids
from isthmus.errors import IsthmusError


class SampleOptions(conf.Options, prefix="ISTHMUS_SAMPLE_"):
    size = conf.option(200, help_text="How many.", minimum=1, maximum=2000)
    strict = conf.option(True, help_text="Whether.")
    seconds = conf.option(1.5, help_text="How long.", minimum=0.1)


def test_an_option_is_read_from_settings_then_environment_then_default(monkeypatch):
    options = SampleOptions()
    assert options.size == 200
    monkeypatch.setenv("ISTHMUS_SAMPLE_SIZE", "300")
    assert options.size == 300
    with override_settings(ISTHMUS_SAMPLE_SIZE=400):
        assert options.size == 400


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("SIZE", "many", "takes a value of type int"),
        ("SIZE", "0", "must be at least 1"),
        ("SIZE", "2001", "must be at most 2000"),
        ("STRICT", "perhaps", "takes true or false"),
    ],
)
def test_an_option_with_an_impossible_value_says_what_is_wrong(monkeypatch, name, value, sentence):
    monkeypatch.setenv(f"ISTHMUS_SAMPLE_{name}", value)
    with pytest.raises(conf.InvalidOption, match=sentence):
        getattr(SampleOptions(), name.lower())


def test_a_moved_clock_gives_the_moved_time(moving_clock):
    before = clock.now()
    moving_clock.move(timedelta(hours=24))
    assert clock.now() - before == timedelta(hours=24)


def test_a_clock_refuses_to_go_back(moving_clock):
    with pytest.raises(ValueError, match="does not go back"):
        moving_clock.move(timedelta(seconds=-1))


def test_counted_ids_are_predictable(counted_ids):
    assert ids.new_uuid().int == 1
    assert ids.new_uuid().int == 2


@pytest.mark.parametrize("given", ["", None, "a b", "x" * 129, "a\nb", 'a"b'])
def test_a_correlation_id_that_could_spoil_a_log_line_is_replaced(given):
    assert correlation.accept(given) != given


def test_a_correlation_is_bound_for_its_block_only():
    with correlation.bind("abc"):
        assert correlation.current() == "abc"
        assert correlation.current_or_new() == "abc"
    assert correlation.current() == ""


def test_the_docstring_is_the_default_message():
    class TooLate(IsthmusError):
        """The time for this is over."""

        code = "TOO_LATE"

    assert TooLate().as_body() == {"message": "The time for this is over.", "errorCode": "TOO_LATE"}
    assert TooLate("Gone.", fields=["When"]).as_body()["fields"] == ["When"]


def test_a_probe_that_raises_is_unwell_and_hides_no_other():
    def broken() -> health.Health:
        raise RuntimeError("secret detail")

    with health.register_temporarily(health.Probe(name="sample", label="Sample", ask=broken)):
        found = {probe.name: told for probe, told in health.probe_all()}
    assert found["sample"].ok is False
    assert "secret detail" not in found["sample"].summary
