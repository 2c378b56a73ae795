"""Limits: one list, which the page and the REST resource read."""

import re
from datetime import timedelta

import pytest

from apexrest import registry
from apexrest.models import EndpointLimits, RateState
from callouts.models import Destination
from credentials.models import ExternalCredential, NamedCredential
from isthmus import clock
from isthmus.access import api_use
from isthmus.access.limits import UNLIMITED, Limit, all_limits, register_limits_temporarily, told_to_clients
from isthmus.access.models import ApiUse
from isthmus.console.limit_views import tone_of
from isthmus.console.tones import Tone
from tests import console_samples as samples

pytestmark = pytest.mark.django_db


def limit(**values):
    given = {
        "group": "Mine",
        "label": "Things",
        "maximum": 200,
        "used": 20,
        "per": "one hour",
        "setting": "MY_SETTING",
        "when_reached": "They wait.",
    }
    return Limit(**{**given, **values})


def found(label):
    return next(one for one in all_limits() if one.label == label)


def test_every_limit_says_where_it_is_set_and_what_happens_at_its_end():
    for one in all_limits():
        assert one.setting, one
        assert one.per, one
        assert one.when_reached.endswith("."), one
    assert {one.group for one in all_limits()} >= {
        "API", "Callouts", "Callbacks", "Events", "API endpoints", "Background operations", "Storage",
    }  # fmt: skip


def test_the_page_and_the_resource_tell_the_same(watcher, settings):
    settings.ISTHMUS_ACCESS_DAILY_API_REQUESTS = 1_000
    ApiUse.objects.create(
        hour=clock.now(), surface="data", target="GET x", user_id=0, client_id=0, requests=250, refused=0, failed=0,
        milliseconds=1, slowest=1,
    )  # fmt: skip
    api_use.forget()
    told = told_to_clients()
    assert told["DailyApiRequests"] == (1_000, 750)
    text = watcher.get("/limits/").content.decode()
    assert re.search(r"<strong>250</strong><span class=\"muted\">of 1,000</span>", text)
    assert "750 left" in text
    assert '<progress max="100" value="25.0"' in text
    assert "ISTHMUS_ACCESS_" in text.replace("<wbr>", "")


def test_names_of_clients_come_from_the_same_list():
    with register_limits_temporarily(lambda: [limit(names=("A", "B")), limit(names=("C",), maximum=None)]):
        told = told_to_clients()
    assert told["A"] == told["B"] == (200, 180)
    assert told["C"] == (UNLIMITED, UNLIMITED)


@pytest.mark.parametrize(
    ("values", "percent", "left", "tone"),
    [
        ({}, 10, 180, Tone.GOOD),
        ({"used": 150}, 75, 50, Tone.WARNING),
        ({"used": 190}, 95, 10, Tone.BAD),
        ({"used": 900}, 100, 0, Tone.BAD),
        ({"used": 190, "unit": "days"}, 95, 10, Tone.NEUTRAL),
        ({"used": None}, None, None, Tone.NEUTRAL),
        ({"maximum": None}, None, None, Tone.NEUTRAL),
    ],
)
def test_how_near_the_end_is(values, percent, left, tone):
    one = limit(**values)
    assert (one.percent, one.left, tone_of(one)) == (percent, left, tone)


def test_what_is_nearly_used_up_is_named_above_everything(watcher):
    assert "No limit is nearly used up" in watcher.get("/limits/").content.decode()
    with register_limits_temporarily(lambda: [limit(used=199, label="Parcels")]):
        text = watcher.get("/limits/").content.decode()
    assert "Nearly used up: Parcels." in text


def test_limits_of_endpoints_with_the_use_of_their_busiest_client():
    now = clock.now().timestamp()
    EndpointLimits.objects.create(mapping=samples.ENDPOINT, rate="100/minute", concurrency=3)
    RateState.objects.create(key=f"{samples.ENDPOINT} ann", paid_until=now + 30.3)
    RateState.objects.create(key=f"{samples.ENDPOINT} bob", paid_until=now + 6)
    RateState.objects.create(key=f"{samples.ENDPOINT} eve", paid_until=now - 60)
    assert any(resource.mapping == samples.ENDPOINT for resource in registry.all_resources())
    rate = found(f"Requests to {samples.ENDPOINT}")
    assert (rate.maximum, rate.used) == (100, pytest.approx(50, abs=1))
    assert found(f"Requests to {samples.ENDPOINT} at the same moment").maximum == 3


def test_limits_of_destinations_with_what_is_under_way():
    external = ExternalCredential.objects.create(name="Open", protocol="no_authentication")
    named = NamedCredential.objects.create(name="Acme_Bank", url="https://x.example", external_credential=external)
    Destination.objects.create(named_credential=named, max_at_once=4, max_per_second=2.5)
    samples.make_queued(state="sending", ended_at=None)
    at_once = found("Queued callouts to Acme_Bank at a time")
    assert (at_once.used, at_once.maximum) == (1, 4)
    assert found("Queued callouts to Acme_Bank").maximum == 2.5


def test_the_size_of_the_database_is_told():
    database = found("Database")
    assert database.used > 100_000
    assert database.unit == "bytes"


def test_what_is_kept_is_told_by_its_oldest(moving_clock):
    samples.make_log_entry(started_at=moving_clock.now() - timedelta(days=12))
    kept = found("Exchanges that succeeded")
    assert (kept.used, kept.maximum, kept.unit) == (12, 30, "days")
