"""Which redirects are followed."""

import pytest
import requests

from callouts import errors, redirects
from credentials.origins import Origin

ORIGIN = Origin.parse("https://bank.example:8443")


def answer(status, location):
    found = requests.Response()
    found.status_code = status
    found.headers["Location"] = location
    return found


def asked(method="GET", **arguments):
    return requests.Request(method, "https://bank.example:8443/v1/loans?page=2", **arguments).prepare()


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_read_is_redirected_within_the_origin(status):
    follow_up = redirects.next_request(asked(), answer(status, "/v2/loans"), within=ORIGIN)
    assert (follow_up.method, follow_up.url) == ("GET", "https://bank.example:8443/v2/loans")


def test_a_write_that_is_to_be_repeated_elsewhere_keeps_its_body():
    follow_up = redirects.next_request(asked("POST", json={"a": 1}), answer(307, "../v2"), within=ORIGIN)
    assert (follow_up.method, follow_up.url, follow_up.body) == ("POST", "https://bank.example:8443/v2", b'{"a": 1}')


def test_after_a_write_see_other_is_a_read_without_the_body():
    follow_up = redirects.next_request(asked("POST", json={"a": 1}), answer(303, "/v1/loans/5"), within=ORIGIN)
    assert (follow_up.method, follow_up.body) == ("GET", None)
    assert not {"Content-Type", "Content-Length"} & set(follow_up.headers)


@pytest.mark.parametrize("status", [301, 302, 300, 304, 200])
def test_other_answers_to_a_write_are_returned(status):
    assert redirects.next_request(asked("POST"), answer(status, "/v2"), within=ORIGIN) is None


def test_a_redirect_to_nowhere_is_returned():
    assert redirects.next_request(asked(), answer(302, ""), within=ORIGIN) is None


@pytest.mark.parametrize(
    "location",
    [
        "https://evil.example/", "http://bank.example:8443/", "https://bank.example/", "//evil.example/", "file:///etc",
        "https://bank.example:8443@evil.example/", "https://user:pw@bank.example:8443/", "javascript:alert(1)",
        "https://bank.example.evil.example:8443/", "https://[broken", "https://bank.example:99999/",
        "\\\\evil.example/a",
    ],
)  # fmt: skip
def test_a_redirect_that_leaves_the_origin_is_refused(location):
    try:
        follow_up = redirects.next_request(asked(), answer(302, location), within=ORIGIN)
    except errors.RedirectRefused:
        return
    assert redirects.is_same_origin(follow_up.url, asked().url)
    assert follow_up.url.startswith("https://bank.example:8443/")


def test_default_ports_are_part_of_the_origin():
    assert redirects.is_same_origin("https://a.example/", "https://A.example:443/x")
    assert not redirects.is_same_origin("https://a.example/", "http://a.example/")


@pytest.mark.parametrize(
    "location", ["/v2", "/v1/../v2", "/v1/%2e%2e/v2", "/v10", "/v1/%252e%252e/v2", "/v1;/../v2", "../v2"]
)
def test_a_redirect_that_leaves_the_path_of_the_credential_is_refused(location):
    with pytest.raises(errors.RedirectRefused):
        redirects.next_request(asked(), answer(302, location), within=Origin.parse("https://bank.example:8443/v1"))


@pytest.mark.parametrize("location", ["/v1", "/v1/", "/v1/loans/5?x=/../y", "?page=3", "loans"])
def test_a_redirect_within_the_path_of_the_credential_is_followed(location):
    within = Origin.parse("https://bank.example:8443/v1")
    assert redirects.next_request(asked(), answer(302, location), within=within).url.startswith(within.base)
