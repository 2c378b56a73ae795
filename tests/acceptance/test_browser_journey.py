"""One application, followed in a browser from the console's home to the integration log and its time line."""

import re
import signal
import socket
import urllib.request
from contextlib import closing

import pytest
from playwright.sync_api import expect, sync_playwright

from tests.engines import chromium_path
from tests.processes import migrated_instance, wait_until

pytestmark = [pytest.mark.browser, pytest.mark.processes, pytest.mark.timeout(300)]


def free_port() -> int:
    with closing(socket.socket()) as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@pytest.fixture
def address(tmp_path):
    """The platform as `make run` starts it, with the demo's data; its command ends in order."""
    port = free_port()
    with migrated_instance("sqlite", tmp_path, ISTHMUS_APPS="examples.mortgage") as instance:
        command = instance.start("run_demo", "--port", str(port), "--bank-port", str(free_port()))
        wait_until(lambda: "Isthmus runs" in command.output, "the platform to run", timeout_seconds=180)
        yield f"http://127.0.0.1:{port}"
        command.kill(signal.SIGINT)
        assert command.wait(60) == 0


@pytest.fixture
def page():
    """A page of a browser that ends with the test: its event loop must not outlive it in this process."""
    quiet = "--disable-quic --no-first-run --disable-background-networking --disable-component-update --disable-sync"
    with sync_playwright() as playwright:
        arguments = ["--no-sandbox", "--disable-gpu", *quiet.split()]
        browser = playwright.chromium.launch(executable_path=chromium_path(), args=arguments)
        yield browser.new_page()
        browser.close()


def test_an_application_is_followed_from_the_console_to_the_log(address, page):
    page.set_default_timeout(20_000)
    expect.set_options(timeout=20_000)
    told: list[str] = []
    page.on("console", lambda message: told.append(message.text) if message.type in {"error", "warning"} else None)
    page.on("pageerror", lambda error: told.append(str(error)))

    page.goto(f"{address}/")
    page.get_by_label("User name").fill("operator")
    page.get_by_label("Password").fill("operator")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="Home")).to_be_visible()

    def answered() -> bool:
        with urllib.request.urlopen(f"{address}/metrics") as answer:
            return "isthmus" in answer.read().decode()

    assert answered()
    page.get_by_role("link", name="External services").first.click()
    page.goto(f"{address}/external-services/invocations/?state=Completed")
    wait_until(
        lambda: page.reload() and page.get_by_role("link", name="SubmitApplication").count() == 7,
        "the seven applications that the bank decides",
        timeout_seconds=120,
    )
    page.get_by_role("link", name="SubmitApplication").first.click()
    expect(page.get_by_text("Completed").first).to_be_visible()
    expect(page.get_by_text("What happened")).to_be_visible()

    page.get_by_role("link", name="Time line").first.click()
    expect(page.get_by_role("heading", name="Time line")).to_be_visible()
    # The picture above the list names the same things in words that are not seen.
    line = page.get_by_role("listitem")
    expect(line.get_by_role("link", name="examples.mortgage.jobs.submit_application").first).to_be_visible()
    expect(line.get_by_role("link", name="Application_Decided__e").first).to_be_visible()

    page.get_by_role("link", name="AcmeMortgages.SubmitApplication", exact=True).first.click()
    expect(page.get_by_text("requestedAmount").first).to_be_visible()
    expect(page.get_by_text("applicationNumber").first).to_be_visible()
    content = page.content()
    assert "demo-bank-secret" not in content
    assert re.search(r"Bearer [A-Za-z0-9_-]{8,}", content) is None

    page.get_by_role("link", name="Background operations").first.click()
    expect(page.get_by_text("examples.mortgage.jobs.submit_application").first).to_be_visible()
    page.get_by_role("link", name="Event monitor").first.click()
    expect(page.get_by_text("mortgage.note_decisions").first).to_be_visible()
    assert told == []
