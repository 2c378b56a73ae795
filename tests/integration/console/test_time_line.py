"""One search leads from any id to everything that belongs together."""

from datetime import timedelta

import pytest

from isthmus import clock
from isthmus.console import timeline
from isthmus.console.timeline import Entry
from isthmus.console.tones import Status, Tone
from tests import console_samples as samples

pytestmark = pytest.mark.django_db


def kinds(reference):
    return [entry.kind for entry in timeline.trace(reference).entries]


def test_a_correlation_gathers_every_kind_in_the_order_of_time(moving_clock):
    made = samples.make_everything()
    moving_clock.move(timedelta(seconds=5))
    made["invocation"].state, made["invocation"].finished_at = "Completed", clock.now()
    made["invocation"].save()
    found = timeline.trace("correlation-1")
    assert sorted(entry.kind for entry in found.entries) == [
        "Callback", "Callout", "Event", "Event", "Invocation ended", "Invocation submitted", "Operation", "Operation",
        "Queued callout",
    ]  # fmt: skip
    assert [entry.at for entry in found.entries] == sorted(entry.at for entry in found.entries)
    assert found.entries[-1].kind == "Invocation ended"
    assert found.correlation_ids == ("correlation-1",)


@pytest.mark.parametrize("thing", ["job", "entry", "invocation", "receipt"])
def test_the_id_of_a_thing_leads_to_its_correlation(thing):
    made = samples.make_everything()
    samples.make_job(correlation_id="another")
    found = timeline.trace(str(made[thing].pk))
    assert found.correlation_ids == ("correlation-1",)
    assert len(found.entries) == 8


def test_the_uuid_of_an_event_and_the_reference_of_an_invocation_lead_there_too():
    made = samples.make_everything()
    assert timeline.trace(str(made["event"].event_uuid)).correlation_ids == ("correlation-1",)
    assert timeline.trace(made["invocation"].reference).correlation_ids == ("correlation-1",)


def test_a_record_leads_to_everything_that_was_ever_done_for_it():
    samples.make_job(correlation_id="first")
    samples.make_log_entry(correlation_id="second")
    samples.make_log_entry(correlation_id="third", record_id="other")
    found = timeline.trace("00Q000000000001AAA")
    assert set(found.correlation_ids) == {"first", "second"}
    assert len(found.entries) == 2


def test_nothing_is_found_for_an_unknown_id(watcher):
    samples.make_everything()
    assert kinds("unknown") == []
    assert "Nothing is known about this id" in watcher.get("/timeline/unknown").content.decode()


@pytest.mark.parametrize("text", ["x" * 256, "a\nb", "a\0b"])
def test_a_text_that_cannot_be_an_id_is_said_so(watcher, text):
    answer = watcher.get("/search/", {"q": text})
    assert answer.status_code == 200
    assert "cannot be an id" in answer.content.decode()


def test_an_app_adds_its_own_entries_and_the_shell_knows_no_app(watcher):
    entry = Entry(
        at=clock.now(),
        kind="Pigeon",
        icon="bolt",
        title="Left <b>the loft",
        status=Status("Flying", Tone.BUSY),
        url="",
    )
    with timeline.register_source_temporarily(
        lambda asked, _limit: [entry] if "coop-7" in asked else [],
        finds=lambda reference: ["coop-7"] if reference == "pigeon-1" else [],
        recent=lambda _limit: [entry],
    ):
        text = watcher.get("/timeline/pigeon-1").content.decode()
        assert "Left &lt;b&gt;the loft" in text
        assert "Followed to correlation" in text
        assert "Pigeon" in watcher.get("/").content.decode()
    assert kinds("coop-7") == []


def test_a_long_time_line_is_cut_and_says_so(watcher):
    entries = [
        Entry(at=clock.now(), kind="Tick", icon="dot", title="Tick", status=Status("Done", Tone.GOOD), url="")
    ] * timeline.ENTRIES_SHOWN
    with timeline.register_source_temporarily(lambda _asked, limit: entries[:limit]):
        assert timeline.trace("x").is_cut
        assert "There is more than can be shown here" in watcher.get("/timeline/x").content.decode()


def test_the_details_of_an_exchange_link_to_what_belongs_to_it(watcher):
    made = samples.make_everything()
    text = watcher.get(f"/integration-log/{made['entry'].pk}/").content.decode()
    assert f'href="/operations/{made["job"].pk}/"' in text
    assert f'href="/external-services/invocations/{made["invocation"].pk}/"' in text
    assert 'href="/timeline/correlation-1"' in text
    assert 'href="/timeline/00Q000000000001AAA"' in text
