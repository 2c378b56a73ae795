"""What goes by a sensitive name never reaches the log, whatever surrounds it."""

import hashlib
import json
from urllib.parse import quote, quote_plus, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callouts import redaction
from callouts.redaction import MASK

SENSITIVE = st.sampled_from(
    [
        "password", "Password", "user_password", "client_secret", "clientSecret", "access_token", "refreshToken",
        "api_key", "X-Api-Key", "apiKey", "Authorization", "client_assertion", "assertion", "private_key", "Set-Cookie",
        "SessionId", "passphrase", "AWSAccessKeyId", "X-Amz-Signature", "sig",
    ]
)  # fmt: skip
SECRET = st.text(st.characters(categories=["L", "N"]), min_size=8, max_size=40).map(lambda text: f"canary{text}")
HARMLESS = st.dictionaries(st.sampled_from(["id", "amount", "name", "city"]), st.integers() | st.booleans(), max_size=3)
LIMIT = 64 * 1024


def nested(secret_pair):
    """A JSON document with the pair somewhere inside."""
    return st.recursive(
        secret_pair,
        lambda inner: (
            st.builds(lambda value, rest: {**rest, "inner": value}, inner, HARMLESS)
            | st.builds(lambda value, number: [number, value], inner, st.integers())
        ),
        max_leaves=8,
    )


@given(st.data(), SENSITIVE, SECRET)
def test_json_keys_anywhere_in_a_document(data, name, secret):
    value = data.draw(st.sampled_from([secret, [secret], {"deep": secret}, f'quo"ted {secret}']))
    document = data.draw(nested(st.just({name: value})))
    shown = redaction.body(json.dumps(document), "application/json", at_most_bytes=LIMIT)
    assert secret not in shown
    assert MASK in json.dumps(json.loads(shown))


@given(SENSITIVE, SECRET, st.integers(0, 60))
def test_json_that_is_cut_off_or_broken(name, secret, cut):
    document = json.dumps({"id": 1, name: secret, "after": "x"}, ensure_ascii=False)
    end = max(document.index(secret) + 7, len(document) - cut)
    shown = redaction.body(document[:end], "application/json", at_most_bytes=LIMIT)
    assert secret[:7] not in shown


@given(SENSITIVE, SECRET)
def test_form_fields(name, secret):
    shown = redaction.body(
        urlencode({"grant_type": "password", name: secret, "scope": "all"}),
        "application/x-www-form-urlencoded; charset=utf-8",
        at_most_bytes=LIMIT,
    )
    assert shown == f"grant_type=password&{quote_plus(name)}={MASK}&scope=all"


@given(SENSITIVE, SECRET)
def test_query_parameters_and_fragments(name, secret):
    pair = f"{quote(name)}={quote(secret)}"
    shown = redaction.url(f"https://bank.example/a?page=2&{pair}#{pair}")
    masked = f"{quote(name)}={MASK}"
    assert shown == f"https://bank.example/a?page=2&{masked}#{masked}"


@given(SENSITIVE, SECRET)
def test_headers(name, secret):
    assert redaction.headers({name: secret, "Accept": "text/html"}) == {name: MASK, "Accept": "text/html"}


@given(SENSITIVE, SECRET)
def test_xml_elements(name, secret):
    shown = redaction.body(f"<a><ns:{name} Type='x'>{secret}</ns:{name}></a>", "text/xml", at_most_bytes=LIMIT)
    assert secret not in shown


@given(SENSITIVE, SECRET, st.sampled_from(["{}={}", "{}: {}", '"{}": "{}"', "'{}': '{}'", '\\"{}\\": \\"{}\\"']))
def test_free_text(name, secret, form):
    assert secret not in redaction.text(f"It said {form.format(name, secret)} and no more.")


@pytest.mark.parametrize("name", ["Authorization", "Cookie", "Set-Cookie", "Proxy-Authorization", "X-Api-Key"])
@pytest.mark.parametrize("spelled", [str, str.lower, str.upper])
def test_the_headers_that_always_carry_secrets(name, spelled):
    assert redaction.headers({spelled(name): "canary"}) == {spelled(name): MASK}


@pytest.mark.parametrize(
    "name", ["Content-Type", "Accept", "X-Request-Id", "Idempotency-Key", "Location", "token_type"]
)
def test_harmless_names_stay_readable(name):
    assert not redaction.is_sensitive(name)


@pytest.mark.parametrize(
    "address",
    [
        "https://isthmus.example/services/callbacks/{}/approved",
        "/services/callbacks/{}",
        "https%3A%2F%2Fisthmus.example%2Fservices%2Fcallbacks%2F{}%2Fapproved",
        "https:%252F%252Fisthmus.example%252Fservices%252Fcallbacks%252F{}",
        r"https:\/\/isthmus.example\/services\/callbacks\/{}\/approved",
    ],
)
def test_the_token_in_a_callback_address_wherever_it_stands(address):
    token = "canary-Abc_123~x"
    given_address = address.format(token)
    assert token not in redaction.url(f"https://bank.example/loans?callbackUrl={given_address}")
    assert token not in redaction.body(json.dumps({"url": given_address}), "application/json", at_most_bytes=LIMIT)
    assert token not in redaction.body(f"url={given_address}", "application/x-www-form-urlencoded", at_most_bytes=LIMIT)
    assert token not in redaction.headers({"Callback-Url": given_address})["Callback-Url"]
    assert token not in redaction.body(given_address, "text/plain", at_most_bytes=LIMIT)


def test_user_info_in_an_address():
    assert redaction.url("https://me:canary@bank.example:8443/a") == f"https://{MASK}@bank.example:8443/a"


def test_authorization_values_in_text():
    assert "canary" not in redaction.text("sent Bearer canary.abc-123 and Basic canaryQ==")


def test_named_pairs_that_keep_the_name_in_a_value():
    shown = redaction.body('[{"name": "password", "value": "canary"}]', "application/json", at_most_bytes=LIMIT)
    assert json.loads(shown) == [{"name": "password", "value": MASK}]


@given(st.binary(min_size=1, max_size=200))
def test_what_is_not_text_is_told_by_size_and_digest(raw):
    raw = b"\x00" + raw
    assert redaction.body(raw, "", at_most_bytes=LIMIT) == (
        f"[{len(raw)} bytes, not text; SHA-256 {hashlib.sha256(raw).hexdigest()}]"
    )


def test_files_are_told_by_size_and_digest_even_if_they_could_be_read():
    assert redaction.body(b"GIF89a", "image/gif", at_most_bytes=LIMIT).startswith("[6 bytes, not text;")
    assert "canary" not in redaction.body(b"--x\r\ncanary", "multipart/form-data; boundary=x", at_most_bytes=LIMIT)


@given(st.text(max_size=300), st.integers(0, 100))
def test_a_body_is_cut_at_the_limit_and_says_so(text, limit):
    shown = redaction.body(text, "text/plain", at_most_bytes=limit)
    kept, cut, _ = shown.partition("… [cut; ")
    assert len(kept.encode()) <= limit or not cut
    assert "\x00" not in shown
    shown.encode()


def test_a_long_body_says_how_long_it_was():
    shown = redaction.body("x" * 100_000, "text/plain", at_most_bytes=LIMIT)
    assert shown == "x" * LIMIT + "… [cut; 100000 bytes in all]"


def test_a_huge_json_body_is_masked_without_being_parsed():
    document = json.dumps({"password": "canary", "rows": ["x" * 100] * 30_000})
    shown = redaction.body(document, "application/json", at_most_bytes=LIMIT)
    assert shown.startswith('{"password": "********"')
    assert shown.endswith(f"… [cut; {len(document)} bytes in all]")


def test_json_nested_too_deep_to_be_parsed():
    shown = redaction.body("[" * 100_000 + '{"password": "canary"}', "application/json", at_most_bytes=200_000)
    assert "canary" not in shown


def test_the_charset_that_was_declared_is_used():
    assert redaction.body("Grüße".encode("latin-1"), "text/plain; charset=iso-8859-1", at_most_bytes=LIMIT) == "Grüße"


def test_a_charset_that_nobody_knows_is_taken_for_utf_8():
    assert redaction.body("Grüße".encode(), "text/plain; charset=klingon", at_most_bytes=LIMIT) == "Grüße"
    assert redaction.body(b"\xff\xfe", "text/plain; charset=klingon", at_most_bytes=LIMIT).startswith("[2 bytes")


@given(st.lists(st.sampled_from(["line 7", "note", "a", "http"]), max_size=4), SENSITIVE, SECRET, st.sampled_from("=:"))
def test_a_pair_within_the_value_of_another(names, name, secret, mark):
    given = "".join(f"{one}{mark} " for one in names) + f"{name}={secret} and more"
    assert secret not in redaction.text(given)
    assert redaction.text(given).endswith(" and more")


def test_a_long_chain_of_pairs_takes_no_stack():
    assert redaction.text("a=" * 30_000 + "password=canary").endswith("password=********")
