"""Lock-outs, the second factor, and sessions that end."""

import base64
import re
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django_otp.oath import TOTP

from isthmus import clock
from isthmus.access.actions import create_api_client
from isthmus.access.models import Flow, RecoveryCode, TotpDevice
from isthmus.access.sign_in import second_factor
from isthmus.audit.models import AuditEntry

pytestmark = pytest.mark.django_db

PASSWORD = "a good password"
SIGN_IN, CODE, TWO_STEP = "/sign-in/", "/sign-in/code/", "/account/two-step/"


@pytest.fixture
def ada(db):
    return User.objects.create_superuser("ada", password=PASSWORD)


def sign_in(browser, password=PASSWORD, address=SIGN_IN, **more):
    return browser.post(address, {"username": "ada", "password": password}, **more)


def code_of(user, by=0):
    totp = TOTP(base64.b32decode(TotpDevice.objects.get(user=user).key.reveal()))
    totp.time = clock.now().timestamp() + by
    return f"{totp.token():06d}"


@pytest.fixture
def with_device(ada, moving_clock):
    device = second_factor.start(ada)
    assert second_factor.confirm(device, code_of(ada))
    moving_clock.move(timedelta(seconds=60))
    return ada


@pytest.mark.parametrize("address", [SIGN_IN, "/admin/login/"])
def test_after_five_wrong_passwords_the_right_one_is_refused_for_a_while(ada, address):
    browser = Client()
    answers = [sign_in(browser, "wrong", address).status_code for _ in range(5)]
    assert answers[:4] == [200] * 4
    locked = sign_in(browser, PASSWORD, address)
    assert locked.status_code == 429
    assert "Too many attempts" in locked.content.decode()
    assert sign_in(Client(), PASSWORD, address, REMOTE_ADDR="192.0.2.9").status_code == 302


def test_the_password_flow_is_locked_by_the_same_count(ada, settings):
    settings.ISTHMUS_ACCESS_PASSWORD_FLOWS = True
    client, secret = create_api_client("Old", None, flows=[Flow.PASSWORD])
    form = {
        "grant_type": "password",
        "client_id": client.client_id,
        "client_secret": secret,
        "username": "ada",
        "password": "wrong",
    }
    http = Client(raise_request_exception=False)
    for _ in range(6):
        assert http.post("/services/oauth2/token", form).json()["error_description"] == "authentication failure"
    refused = http.post("/services/oauth2/token", {**form, "password": PASSWORD})
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_grant")
    assert sign_in(Client()).status_code == 429


def test_who_has_a_device_is_asked_for_a_code_everywhere(with_device):
    browser = Client()
    assert sign_in(browser)["Location"] == "/"
    for address in ("/", "/admin/", "/events/", "/services/oauth2/authorize?x=1"):
        answer = browser.get(address)
        assert answer.status_code == 302
        assert answer["Location"].startswith(f"{CODE}?next=")
    assert browser.get(CODE).status_code == 200
    wrong = browser.post(CODE, {"code": "000000", "next": "/events/"})
    assert "This code is not right" in wrong.content.decode()
    right = browser.post(CODE, {"code": code_of(with_device), "next": "/events/"})
    assert right["Location"] == "/events/"
    assert browser.get("/events/").status_code == 200
    assert sign_in(Client())["Location"] == "/"


def test_a_code_leads_only_to_pages_of_ours(with_device):
    browser = Client()
    sign_in(browser)
    answer = browser.post(CODE, {"code": code_of(with_device), "next": "https://evil.example/"})
    assert answer["Location"] == "/"


def test_a_code_works_once_and_its_neighbours_too(with_device, moving_clock):
    code = code_of(with_device)
    assert second_factor.verify(with_device, code)
    assert not second_factor.verify(with_device, code)
    assert not second_factor.verify(with_device, code_of(with_device, -30))
    moving_clock.move(timedelta(seconds=30))
    assert second_factor.verify(with_device, code_of(with_device))


def test_wrong_codes_make_the_device_wait_longer_and_longer(with_device, moving_clock):
    for _ in range(5):
        assert not second_factor.verify(with_device, "000000")
    assert not second_factor.verify(with_device, code_of(with_device))
    moving_clock.move(timedelta(seconds=2))
    assert second_factor.verify(with_device, code_of(with_device))
    assert TotpDevice.objects.get().failures == 0


def test_setting_it_up_shows_the_key_and_the_recovery_codes_once(ada, moving_clock):
    browser = Client()
    sign_in(browser)
    page = browser.get(TWO_STEP).content.decode()
    assert "<svg" in page
    assert TotpDevice.objects.get().key.reveal() in page
    assert "not right" in browser.post(TWO_STEP, {"code": "000000"}).content.decode()
    done = browser.post(TWO_STEP, {"code": code_of(ada)})
    codes = re.findall(r"^(?:.*<code>)?([a-z0-9-]{5}-[a-z0-9-]{5})$", done.content.decode(), re.MULTILINE)
    assert len(codes) == 10
    assert "no-store" in done["Cache-Control"]
    later = browser.get(TWO_STEP).content.decode()
    assert codes[0] not in later
    assert TotpDevice.objects.get().key.reveal() not in later
    assert codes[0] not in str(list(RecoveryCode.objects.values()))
    assert second_factor.verify(ada, codes[0].upper())
    assert not second_factor.verify(ada, codes[0])
    assert AuditEntry.objects.filter(action="access.second_factor_set", target="ada").exists()


def test_taking_it_away_takes_a_code(with_device, moving_clock):
    browser = Client()
    sign_in(browser)
    browser.post(CODE, {"code": code_of(with_device)})
    moving_clock.move(timedelta(seconds=30))
    browser.post(TWO_STEP, {"code": "000000"})
    assert second_factor.has_device(with_device)
    browser.post(TWO_STEP, {"code": code_of(with_device)})
    assert not second_factor.has_device(with_device)


def test_administrators_must_set_it_up_where_that_is_asked(ada, settings):
    settings.ISTHMUS_ACCESS_TOTP_FOR_ADMINISTRATORS = True
    browser = Client()
    sign_in(browser)
    assert browser.get("/admin/")["Location"] == f"{TWO_STEP}?next=%2Fadmin%2F"
    assert browser.get(TWO_STEP).status_code == 200
    User.objects.filter(pk=ada.pk).update(is_superuser=False, is_staff=False)
    assert browser.get("/").status_code == 403


def test_a_password_alone_gives_no_token_to_who_has_a_device(with_device, settings):
    settings.ISTHMUS_ACCESS_PASSWORD_FLOWS = True
    client, secret = create_api_client("Old", None, flows=[Flow.PASSWORD])
    form = {
        "grant_type": "password",
        "client_id": client.client_id,
        "client_secret": secret,
        "username": "ada",
        "password": PASSWORD,
    }
    assert Client().post("/services/oauth2/token", form).json()["error"] == "invalid_grant"


def test_the_key_is_stored_sealed(with_device):
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM access_totpdevice")
        row = str(cursor.fetchone())
    assert TotpDevice.objects.get().key.reveal() not in row


def test_a_session_that_is_not_used_ends(ada, settings):
    assert settings.SESSION_COOKIE_AGE == 7_200
    browser = Client()
    answer = sign_in(browser)
    cookie = answer.cookies[settings.SESSION_COOKIE_NAME]
    assert (cookie["max-age"], cookie["httponly"], cookie["samesite"]) == (7_200, True, "Lax")
