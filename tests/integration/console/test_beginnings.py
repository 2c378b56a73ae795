"""Empty pages begin the task, and offer data to try the platform with."""

import re

import pytest
from django.contrib.auth.models import User
from django.test import Client, override_settings

from credentials.models import NamedCredential
from examples.mortgage import console as demo_console
from isthmus.access.actions import assign
from isthmus.access.models import PermissionSet
from isthmus.console import registry
from isthmus.jobs.models import Job
from tests import console_samples as samples

pytestmark = pytest.mark.django_db

EMPTY_PAGES = {
    "/": "Connect your first system",
    "/operations/": "Copy a first operation",
    "/operations/schedules/": "New schedule",
    "/integration-log/": "Connect a system",
    "/queued-callouts/": "Copy a first queued callout",
    "/queued-callouts/batches/": "Copy a first batch",
    "/external-services/": "Register a document",
    "/external-services/invocations/": "Choose an operation",
    "/external-services/callbacks/": "Choose an operation",
    "/named-credentials/": "New external credential",
    "/my-connections/": "Set one up",
    "/events/log/": "Define an event",
    "/events/parked/": "Subscriptions",
}
WITHOUT_DEMO = {"/operations/schedules/", "/events/parked/"}


@pytest.fixture
def administrator():
    client = Client()
    user = User.objects.create_user("ada")
    assign(PermissionSet.objects.get(name="Console_Administrator"), user)
    client.force_login(user)
    return client


def empty_part(client, address):
    text = client.get(address).content.decode()
    return text[text.index('class="card empty"') if 'class="card empty"' in text else text.index("card pad muted") :]


@pytest.mark.parametrize(("address", "label"), EMPTY_PAGES.items())
def test_an_empty_page_begins_the_task(administrator, address, label):
    part = empty_part(administrator, address)
    assert re.search(rf"<(?:a|button) class=\"button[^>]*>.*{label}", part), part[:900]
    assert ("Try it with demo data" in part) == (address not in WITHOUT_DEMO)
    for target in re.findall(r'<a class="button[^"]*" href="([^"]+)"', part):
        assert administrator.get(target).status_code == 200, target


@pytest.mark.parametrize("address", EMPTY_PAGES)
def test_whoever_only_looks_is_offered_nothing_that_is_refused(watcher, address):
    part = empty_part(watcher, address)
    assert "demo data" not in part
    for target in re.findall(r'<a class="button[^"]*" href="([^"]+)"', part):
        assert watcher.get(target).status_code == 200, target


def test_code_to_begin_with_is_code(administrator):
    for address in ("/operations/", "/queued-callouts/", "/queued-callouts/batches/"):
        part = empty_part(administrator, address)
        shown = re.search(r'<pre class="code" id="begin-code"[^>]*>(.*?)</pre>', part, re.DOTALL)[1]
        compile(shown.replace("&gt;", ">").replace("&lt;", "<"), address, "exec")


def test_what_the_demo_adds_is_said_before_it_is_added(administrator):
    page = administrator.get("/demo-data/").content.decode()
    for line in demo_console.ADDS:
        assert line.replace("'", "&#x27;") in page
    assert not Job.objects.exists()


def test_the_demo_data_are_made_by_a_background_operation_once(administrator, jobs):
    first = administrator.post("/demo-data/")
    again = administrator.post("/demo-data/")
    job = Job.objects.get()
    assert first.headers["Location"] == again.headers["Location"] == f"/operations/{job.pk}/"
    assert job.user.username == "ada"
    [done] = jobs.run_all()
    assert (done.state, done.error) == ("Completed", "")
    assert set(NamedCredential.objects.values_list("name", flat=True)) == {"AcmeBank", "Warehouse", "Partner_CRM"}
    assert User.objects.filter(username="operator").exists()
    # Who is no superuser gets none with a password that everybody knows.
    assert not User.objects.get(username="admin").is_superuser
    assert User.objects.get(username="admin").has_perm("jobs.add_schedule")


def test_a_superuser_gets_the_demo_as_the_command_makes_it(jobs, client):
    client.force_login(User.objects.create_superuser("root"))
    client.post("/demo-data/")
    jobs.run_all()
    assert User.objects.get(username="admin").is_superuser


def test_nobody_else_adds_them(operator, watcher):
    for browser in (operator, watcher):
        assert browser.get("/demo-data/").status_code == 403
        assert browser.post("/demo-data/").status_code == 403
    assert not Job.objects.exists()


def test_production_offers_none(administrator):
    with registry.register_demo_data_temporarily(None):
        with override_settings(IS_PRODUCTION=True):
            demo_console.register()
        assert registry.demo_data() is None
        assert administrator.get("/demo-data/").status_code == 404
        assert "demo data" not in administrator.get("/operations/").content.decode()


def test_demo_data_are_registered_once():
    with pytest.raises(ValueError, match="registered already"):
        registry.register_demo_data(registry.DemoData((), lambda _user: "/"))


def test_full_pages_offer_no_demo(administrator):
    samples.make_job()
    assert "demo data" not in administrator.get("/operations/").content.decode()
