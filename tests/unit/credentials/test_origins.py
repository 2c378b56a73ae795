"""An address made from a named credential never leaves its scheme, host, port and path prefix."""

import doctest
from urllib.parse import unquote, urlsplit

import pytest
import requests
import urllib3
from hypothesis import example, given
from hypothesis import strategies as st

from credentials import origins
from credentials.errors import OutsideOrigin
from credentials.origins import Origin

BASES = ["https://api.acme.example", "https://api.acme.example:8443/v2", "http://[::1]:9000/a/b/", "http://10.0.0.1/x"]

# Characters that decide where an address goes, and pieces that are known to fool readers of URLs.
pieces = st.sampled_from(
    [
        *("/", "//", "..", ".", "\\", "@", ":", "?", "#", ";", "[", "]", "&", "=", "+", "a", "é", " "),
        *("%", "%2e", "%2E%2e", "%2f", "%5c", "%252e", "%25", "%00", "%c0%ae"),
        *("http:", "https://evil.example", "evil.example", "\t", "\n", "\r", "\0", "\x85"),
        *("\u2028", "\u202e", "\uff0f", "\uff0e\uff0e", "\u3002"),
    ]
)
hostile = st.lists(pieces | st.text(max_size=3), max_size=12).map("".join)


def inside(url, base):
    """Read `url` as three readers do, and say whether each finds it within `base`."""
    origin = Origin.parse(base)
    for reading in (url, requests.Request("GET", url).prepare().url):
        parts = urlsplit(reading)
        assert f"{parts.scheme}://{parts.netloc}" == f"{origin.scheme}://{origin.authority}"
        other = urllib3.util.parse_url(reading)
        assert (other.scheme, other.netloc) == (parts.scheme, parts.netloc)
        assert other.auth is None
        for path in (parts.path, unquote(parts.path), unquote(unquote(parts.path)), other.path or "/"):
            assert ".." not in path.replace("\\", "/").split("/")
        assert parts.path == origin.prefix or parts.path.startswith(f"{origin.prefix}/")
        assert not set(reading) & set("\\\r\n\t\0 ")


@given(st.sampled_from(BASES), hostile | hostile.map(lambda text: f"/{text}") | st.text())
@example(BASES[1], "/..;/x")
@example(BASES[1], "/%2e%2e/x")
@example(BASES[1], "/%252e%252e%252fx")
@example(BASES[0], "@evil.example/")
@example(BASES[0], ".evil.example/")
@example(BASES[0], ":80@evil.example")
@example(BASES[0], "//evil.example/")
@example(BASES[0], "/\\evil.example")
@example(BASES[1], "?/../../x")
def test_no_text_leads_out(base, path_and_query):
    try:
        url = Origin.parse(base).url_for(path_and_query)
    except OutsideOrigin:
        return
    inside(url, base)


@pytest.mark.parametrize(
    ("path_and_query", "url"),
    [
        ("", "https://api.acme.example/v2"),
        ("?a=b", "https://api.acme.example/v2?a=b"),
        ("/", "https://api.acme.example/v2/"),
        ("/orders", "https://api.acme.example/v2/orders"),
        ("/orders/", "https://api.acme.example/v2/orders/"),
        ("/orders?a=b&c=d", "https://api.acme.example/v2/orders?a=b&c=d"),
        ("/orders?next=https://x.example/../y", "https://api.acme.example/v2/orders?next=https://x.example/../y"),
        ("/orders?a=b?c", "https://api.acme.example/v2/orders?a=b?c"),
        ("/a%2Fb", "https://api.acme.example/v2/a%2Fb"),
        ("/a b/é", "https://api.acme.example/v2/a%20b/%C3%A9"),
        ("/a@b:c;d=e,f", "https://api.acme.example/v2/a@b:c;d=e,f"),
        ("/..a/b..", "https://api.acme.example/v2/..a/b.."),
        ("/100%", "https://api.acme.example/v2/100%25"),
        ("/a//b", "https://api.acme.example/v2/a//b"),
        ("/?note=line%0Abreak", "https://api.acme.example/v2/?note=line%0Abreak"),
    ],
)
def test_ordinary_paths_come_through(path_and_query, url):
    assert Origin.parse("https://api.acme.example/v2").url_for(path_and_query) == url


@pytest.mark.parametrize(
    ("path_and_query", "sentence"),
    [
        ("orders", "begins with `/`"),
        ("http://evil.example/", "begins with `/`"),
        ("https:evil", "begins with `/`"),
        ("@evil.example/", "begins with `/`"),
        (":8443/", "begins with `/`"),
        ("#x", "begins with `/`"),
        ("/a#x", "fragment"),
        ("//evil.example/", "another host"),
        ("/\\evil.example/", "backslash"),
        ("/a\\..\\b", "backslash"),
        ("/..", "climb"),
        ("/../admin", "climb"),
        ("/a/../../admin", "climb"),
        ("/%2e%2e/admin", "climb"),
        ("/.%2E/admin", "climb"),
        ("/a/%2e%2e%2fadmin", "climb"),
        ("/a/..%5Cadmin", "climb"),
        ("/%252e%252e/admin", "climb"),
        ("/..;jsessionid=1/admin", "climb"),
        ("/%25252525252525252e", "too many times"),
        ("/a\r\nHost: evil.example", "control"),
        ("/a\tb", "control"),
        ("/a%0d%0ab", "control"),
        ("/a%00", "control"),
        ("/\u202ea", "control"),
        ("/?a=\n", "control"),
        ("/" + "a" * 8000, "characters long"),
    ],
)
def test_what_could_lead_out_is_refused_by_name(path_and_query, sentence):
    with pytest.raises(OutsideOrigin, match=sentence):
        Origin.parse("https://api.acme.example/v2").url_for(path_and_query)


@pytest.mark.parametrize(
    ("given_url", "base"),
    [
        ("https://API.Acme.example", "https://api.acme.example"),
        ("HTTPS://api.acme.example/", "https://api.acme.example"),
        ("https://api.acme.example:8443/V2//", "https://api.acme.example:8443/V2"),
        ("http://[2001:DB8::1]:80/x", "http://[2001:db8::1]:80/x"),
        ("https://bücher.example", "https://xn--bcher-kva.example"),
        ("https://my_host/a b", "https://my_host/a%20b"),
        ("https://\u043f\u0440\u0438\u043c\u0435\u0440.example", "https://xn--e1afmkfd.example"),
        ("https://\u6771\u4eac\u30bf\u30ef\u30fc.example", "https://xn--5ck2eqb538s34z.example"),
    ],
)
def test_an_origin_is_read(given_url, base):
    assert Origin.parse(given_url).base == base


def test_a_given_trailing_slash_is_kept_for_the_origin_itself():
    assert Origin.parse("https://a.example/v2/").url_for("") == "https://a.example/v2/"
    assert Origin.parse("https://a.example/v2").url_for("") == "https://a.example/v2"
    assert Origin.parse("https://a.example").url_for("") == "https://a.example/"


@pytest.mark.parametrize(
    "url",
    [
        "",
        "api.acme.example",
        "/path",
        "ftp://acme.example",
        "file:///etc/passwd",
        "javascript:alert(1)",
        "https://",
        "https:///path",
        "https://user@acme.example",
        "https://user:pass@acme.example",
        "https://@acme.example",
        "https://acme.example?x=1",
        "https://acme.example?",
        "https://acme.example#x",
        "https://acme.example:0",
        "https://acme.example:99999",
        "https://acme.example:port",
        "https://acme example",
        "https://acme.example/../x",
        "https://acme.example//x",
        "https://acme.example\\x",
        "https://acme.example/\nx",
        "https://[::1",
        "https://acme%2eexample",
        "https://a,b.example",
        # Look-alikes: a Cyrillic a, a Greek o, a full-width letter beside ASCII ones.
        "https://\u0430cme.example",
        "https://\u0430pple.b\u03bfok.example",
        "https://api.p\u0430ypal.example",
    ],
)
def test_what_is_no_origin_is_refused(url):
    with pytest.raises(OutsideOrigin):
        Origin.parse(url)


def test_the_examples_hold():
    assert doctest.testmod(origins).failed == 0
