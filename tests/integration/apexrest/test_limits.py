"""What an endpoint lets in: size, rate, how many at once, from where, for how long; and the allowance of the API."""

import json
import threading
from datetime import timedelta

import pytest
from django.db import connection

from apexrest.models import EndpointLimits
from crm.models import Case
from isthmus.access import api_use
from isthmus.access.actions import issue_access_token
from isthmus.access.models import ApiUse
from isthmus.named_locks import try_hold


def error(answer):
    (element,) = answer.json()
    return answer.status_code, element["errorCode"]


@pytest.mark.django_db
def test_a_body_may_be_as_large_as_the_endpoint_says(api):
    assert error(api.post("/t/narrow", {"seconds": 0, "x": "y" * 100})) == (413, "EXCEEDED_MAX_SIZE_REQUEST")
    assert api.post("/t/narrow", {"seconds": 0}).status_code == 200


@pytest.mark.django_db
def test_a_client_may_come_as_often_as_the_endpoint_says(api, caller, moving_clock):
    assert [api.post("/t/narrow", {}).status_code for _ in range(4)] == [200, 200, 200, 429]
    refused = api.post("/t/narrow", {})
    assert error(refused) == (429, "REQUEST_LIMIT_EXCEEDED")
    assert refused["Retry-After"] == "20"
    moving_clock.move(timedelta(seconds=20))
    assert [api.post("/t/narrow", {}).status_code for _ in range(2)] == [200, 429]
    moving_clock.move(timedelta(minutes=2))
    assert [api.post("/t/narrow", {}).status_code for _ in range(4)] == [200, 200, 200, 429]


@pytest.mark.django_db
def test_each_client_has_its_own_rate(api, caller, moving_clock):
    from oauth2_provider.models import AccessToken

    from isthmus.access.actions import create_api_client
    from isthmus.access.tokens import checksum
    from tests.integration.apexrest.conftest import Api

    other = Api(issue_access_token(caller))
    client, _ = create_api_client("Other", caller)
    AccessToken.objects.filter(token_checksum=checksum(other.token)).update(application=client)
    assert [api.post("/t/narrow", {}).status_code for _ in range(4)][-1] == 429
    assert other.post("/t/narrow", {}).status_code == 200


@pytest.mark.django_db(transaction=True)
def test_no_more_run_at_once_than_the_endpoint_says(api):
    held, done = threading.Event(), threading.Event()

    def hold():
        with try_hold("endpoint /t/narrow/*#0"):
            held.set()
            done.wait(timeout=30)
        connection.close()

    holder = threading.Thread(target=hold)
    holder.start()
    held.wait(timeout=30)
    answer = api.post("/t/narrow", {})
    done.set()
    holder.join()
    assert error(answer) == (429, "REQUEST_LIMIT_EXCEEDED")
    assert not Case.objects.exists()
    assert api.post("/t/narrow", {}).status_code == 200


@pytest.mark.django_db
def test_what_takes_too_long_is_undone(api):
    assert error(api.post("/t/narrow", {"seconds": 0.6})) == (503, "REQUEST_RUNNING_TOO_LONG")
    assert not Case.objects.exists()


@pytest.mark.django_db
def test_callers_come_from_where_the_endpoint_says(api, settings):
    assert error(api.get("/t/inside")) == (403, "IP_ADDRESS_NOT_ALLOWED")
    assert error(api.get("/t/inside", X_Forwarded_For="10.1.2.3")) == (403, "IP_ADDRESS_NOT_ALLOWED")
    settings.ISTHMUS_ACCESS_TRUSTED_PROXIES = 1
    assert api.get("/t/inside", X_Forwarded_For="10.1.2.3").status_code == 200
    assert api.get("/t/inside", X_Forwarded_For="2001:db8::7").status_code == 200
    assert api.get("/t/inside", X_Forwarded_For="::ffff:10.1.2.3").status_code == 200
    assert error(api.get("/t/inside", X_Forwarded_For="10.1.2.3, 192.0.2.1")) == (403, "IP_ADDRESS_NOT_ALLOWED")


@pytest.mark.django_db
def test_an_operator_sets_limits_in_place_of_the_codes(api):
    EndpointLimits.objects.create(mapping="/t/inside", ip_ranges="127.0.0.0/8\n")
    assert api.get("/t/inside").status_code == 200
    EndpointLimits.objects.create(mapping="/t/narrow/*", rate="1/hour")
    assert [api.post("/t/narrow", {}).status_code for _ in range(2)] == [200, 429]


@pytest.mark.django_db
def test_the_allowance_of_the_api_is_told_and_kept(api, caller, settings, moving_clock):
    api.token = issue_access_token(caller)
    settings.ISTHMUS_ACCESS_DAILY_API_REQUESTS = 3
    told = [api.get("/t/echo/a")["Sforce-Limit-Info"] for _ in range(3)]
    assert told == ["api-usage=1/3", "api-usage=2/3", "api-usage=3/3"]
    assert error(api.get("/t/echo/a")) == (403, "REQUEST_LIMIT_EXCEEDED")
    moving_clock.move(timedelta(hours=25))
    api.token = issue_access_token(caller)
    assert api.get("/t/echo/a").status_code == 200


@pytest.mark.django_db
def test_who_calls_what_is_counted(api, caller, moving_clock):
    api.token = issue_access_token(caller)
    api.get("/t/echo/a")
    api.get("/t/echo/b")
    api.post("/t/trouble/refuse", {"subject": "x"})
    api.post("/t/trouble/break", {"subject": "x"})
    found = {use.target: use for use in ApiUse.objects.all()}
    assert {use.user_id for use in found.values()} == {caller.pk}
    echo, trouble = found["GET /t/echo/*"], found["POST /t/trouble/*"]
    assert (echo.requests, echo.refused, echo.failed) == (2, 0, 0)
    assert (trouble.requests, trouble.refused, trouble.failed) == (2, 1, 1)


@pytest.mark.django_db
def test_counts_are_gathered_for_a_moment(api, settings):
    api_use.flush()
    settings.ISTHMUS_ACCESS_USE_FLUSH_SECONDS = 60.0
    try:
        for _ in range(3):
            api.get("/t/echo/a")
        assert not ApiUse.objects.exists()
        assert api.get("/t/echo/a")["Sforce-Limit-Info"].startswith("api-usage=4/")
        api_use.flush()
        assert ApiUse.objects.get().requests == 4
    finally:
        api_use.forget()


@pytest.mark.django_db
def test_an_old_version_says_so_and_the_new_one_stands_beside_it(api):
    old = api.get("/v1/orders")
    assert old["Deprecation"] == "@1767225600"
    assert old["Sunset"] == "Fri, 01 Jan 2027 00:00:00 GMT"
    assert old["Link"] == '</services/apexrest/v2/orders>; rel="successor-version"'
    new = api.post("/v2/orders", {})
    assert {"Deprecation", "Sunset", "Link"} & set(new.headers) == set()


@pytest.mark.django_db
def test_a_reference_that_means_several_records_is_300_with_all_of_them(api):
    from crm.models import Contact

    made = [Contact.objects.create(last_name="A", external_reference="R") for _ in range(2)]
    answer = api.send("PUT", "/t/contacts/r", {"lastName": "B"})
    assert answer.status_code == 300
    assert answer.json() == [f"/services/data/v67.0/sobjects/Contact/{contact.record_id}" for contact in made]
    assert api.send("PUT", "/t/contacts/s", {"lastName": "B"}).status_code == 200
    as_xml = api.send("PUT", "/t/contacts/r", {"lastName": "B"}, Accept="application/xml")
    assert (as_xml.status_code, as_xml.content.count(b"<Candidate>")) == (300, 2)
    as_problem = api.send("PUT", "/t/contacts/r", {"lastName": "B"}, Accept="application/problem+json")
    assert json.loads(as_problem.content) == answer.json()


@pytest.mark.django_db
def test_a_method_sees_what_is_shared_with_its_caller(api, caller):
    from django.contrib.auth.models import User

    from isthmus.objects.models import ObjectSharing

    ObjectSharing.objects.create(object_name="Case", default="private")
    Case.objects.create(subject="mine", owner=caller)
    Case.objects.create(subject="yours", owner=User.objects.create_user("you"))
    assert api.get("/t/cases/shared").json() == ["mine"]
    assert api.get("/t/cases/all").json() == ["mine", "yours"]
