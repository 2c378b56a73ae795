"""`make pictures`: takes a picture of every page of the console for docs/how-to/console.md.

Sample rows of a busy afternoon, and a clock that stands still. Pages join by being in `console_samples`.
"""

import base64
from datetime import timedelta
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import expect

from callouts.models import IntegrationLogEntry
from events.models import EventUsage
from isthmus import clock
from isthmus.jobs.models import ProcessHeartbeat
from tests import console_samples as samples

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True), pytest.mark.timeout(900)]

FOLDER = Path(__file__).parent.parent.parent / "docs" / "images" / "console"
WIDTH, HEIGHT, TALLEST = 1280, 800, 1400
PHONE = {"width": 390, "height": 844}
ON_A_PHONE = ("home", "jobs", "log", "entry", "time-line")
LEFT_OUT = {"two-step"}
"""What shows a new secret each time."""
LARGEST = 120_000
"""Bytes of a picture, about; better quality where it fits."""

OPERATIONS = (
    ("Submit mortgage application", "Acme_Bank", "POST", "https://bank.example.org/v1/applications", 201, "succeeded"),
    ("Reserve stock", "Warehouse", "PUT", "https://stock.example.org/v2/reservations/4711", 200, "succeeded"),
    ("Tell the carrier", "Carrier", "POST", "https://carrier.example.org/shipments", 202, "succeeded"),
    ("Refresh prices", "Warehouse", "GET", "https://stock.example.org/v2/prices?since=2026-05-31", 200, "succeeded"),
    ("Charge the deposit", "Acme_Bank", "POST", "https://bank.example.org/v1/charges", 503, "failed"),
    ("Ask for the rate", "Acme_Bank", "GET", "https://bank.example.org/v1/rates/EUR", 200, "succeeded"),
)
JOBS = (
    ("mortgage.jobs.submit_applications", "Processing", 340, 500),
    ("shop.jobs.publish_prices", "Processing", 18_200, 24_000),
    ("mortgage.jobs.send_documents", "Queued", 0, None),
    ("shop.jobs.settle_orders", "Completed", 1_250, 1_250),
    ("shop.jobs.tell_carrier", "Failed", 3, 40),
    ("crm.jobs.merge_contacts", "Completed", 96, 96),
    ("shop.jobs.close_day", "Aborted", 10, 60),
    ("mortgage.jobs.ask_for_rates", "Completed", 12, 12),
)


def make_exchanges(now):
    """Make two days of exchanges, more of them in the afternoon than at night."""
    rows = []
    for number in range(900):
        operation, credential, method, url, status, outcome = OPERATIONS[number * number % len(OPERATIONS)]
        is_busy = number % 3
        minutes = (number * 97 % 600) if is_busy else (number * 193 % 1_440)
        rows.append(
            IntegrationLogEntry(
                operation=operation, named_credential=credential, method=method, url=url, status_code=status,
                outcome="in_doubt" if number == 450 else outcome, error_code="HTTP_503" if status == 503 else "",
                started_at=now - timedelta(minutes=minutes, seconds=number * 7 % 60),
                duration_ms=40 + number * 37 % 900, correlation_id=f"afternoon-{number // 3}",
                direction="inbound" if operation == "Ask for the rate" else "outbound",
            )
        )  # fmt: skip
    IntegrationLogEntry.objects.bulk_create(rows)


def make_afternoon():
    """Make rows as an installation has them at work, on top of one of each kind."""
    now = clock.now()
    for kind, name in (
        ("worker", "app-1.4121"),
        ("worker", "app-2.3984"),
        ("bus", "app-1.4130"),
        ("web", "app-1.4102"),
    ):
        ProcessHeartbeat.objects.create(
            kind=kind, name=name, pid=4_100, beat_at=now, started_at=now - timedelta(days=3)
        )
    make_exchanges(now)
    for number, (function, state, done, total) in enumerate(JOBS * 3):
        samples.make_job(
            function=function, state=state, progress_done=done, progress_total=total, correlation_id=f"job-{number}",
            error="ConnectFailed: carrier.example.org does not answer" if state == "Failed" else "", subject_id="",
            created_at=now - timedelta(minutes=3 * number + 1), started_at=now - timedelta(minutes=3 * number),
            finished_at=now if state in {"Completed", "Failed", "Aborted"} else None,
        )  # fmt: skip
    for number, (operation, credential, method, url, _, _) in enumerate(OPERATIONS * 2):
        state = ("waiting", "succeeded", "sending", "succeeded", "failed", "held")[number % 6]
        samples.make_queued(
            operation=operation, named_credential=credential, method=method, url=url, state=state, reason="",
            created_at=now - timedelta(minutes=2 * number), correlation_id=f"queued-{number}",
            ended_at=now if state in {"succeeded", "failed"} else None,
        )  # fmt: skip
    for number, name in enumerate(("Order_Ready__e", "Price_Changed__e", "Application_Decided__e")):
        topic = samples.make_topic(f"/event/{name}")
        for place in range(8):
            replay_id = 100 + number * 8 + place
            samples.make_event(replay_id, topic, published_at=now - timedelta(minutes=place), correlation_id="order-7")
        samples.make_subscription(
            name=f"shop.subscribers.on_{name.removesuffix('__e').lower()}", topic=topic, state="running",
            cursor=100 + number * 8 + 7 - number, last_error="", failures=0,
        )  # fmt: skip
        for hour in range(24):
            start = now.replace(minute=0) - timedelta(hours=hour)
            EventUsage.objects.create(
                name="PLATFORM_EVENTS_PUBLISHED", event_name=name, start_date=start,
                end_date=start + timedelta(hours=1), value=(hour * 37 + number * 11) % 90,
            )  # fmt: skip


def full_height(page, width):
    """Make the window as high as the page, within reason, so that the picture is of the whole."""
    page.set_viewport_size({"width": width, "height": HEIGHT})
    height = page.evaluate("document.documentElement.scrollHeight")
    page.set_viewport_size({"width": width, "height": min(max(height, HEIGHT), TALLEST)})


def take(page, name):
    """Write the picture, as good as fits."""
    page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    devtools = page.context.new_cdp_session(page)
    for quality in (82, 65, 45):
        given = {"format": "webp", "quality": quality, "optimizeForSpeed": False}
        picture = base64.b64decode(devtools.send("Page.captureScreenshot", given)["data"])
        if len(picture) <= LARGEST:
            break
    devtools.detach()
    (FOLDER / f"{name}.webp").write_bytes(picture)


@pytest.fixture
def addresses(transactional_db, moving_clock, counted_ids):
    with samples.other_words("Ada Lovelace"):
        made = samples.make_everything()
        make_afternoon()
        found = {
            **samples.page_addresses(made),
            **samples.operating_addresses(made),
            **samples.further_addresses(made),
        }
    return {name: address for name, address in found.items() if name not in LEFT_OUT}


def test_take_the_pictures(addresses, new_tab):
    FOLDER.mkdir(parents=True, exist_ok=True)
    for old in FOLDER.glob("*.webp"):
        old.unlink()
    user = User.objects.create_superuser("olga", password=samples.PASSWORD, first_name="Olga", last_name="Byrne")
    tab = new_tab(width=WIDTH, height=HEIGHT, color_scheme="light", reduced_motion="reduce")
    tab.sign_in(user)
    for name, address in addresses.items():
        assert tab.open(address).status == 200, name
        expect(tab.page.get_by_role("heading", level=1)).to_be_visible()
        full_height(tab.page, WIDTH)
        for scheme in ("light", "dark"):
            tab.page.emulate_media(color_scheme=scheme)
            take(tab.page, f"{name}-{scheme}")
        tab.page.emulate_media(color_scheme="light")
        if name in ON_A_PHONE:
            tab.page.set_viewport_size(PHONE)
            take(tab.page, f"{name}-phone")
