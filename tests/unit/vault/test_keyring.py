"""A sealed text opens with its own key, in its own place, unchanged; and in no other case."""

import base64
import doctest
import secrets

import pytest
from django.test import override_settings
from hypothesis import assume, given
from hypothesis import strategies as st

from isthmus.keys import new_encryption_key
from isthmus.vault import keyring, keys_in_use
from isthmus.vault.checks import check_keys
from isthmus.vault.errors import KeysMalformed, SealBroken, UnknownKey, VaultError
from isthmus.vault.keyring import KeyRing

RING = KeyRing({"k1": bytes(range(32)), "k2": bytes(32)})
texts = st.text(st.characters(exclude_categories=["Cs"]))


@given(texts, texts)
def test_what_is_sealed_opens_in_its_place(plaintext, context):
    sealed = RING.seal(plaintext, context=context)
    assert sealed.startswith("v1.k1.")
    assert RING.open_sealed(sealed, context=context) == plaintext


@given(texts, texts, texts)
def test_it_opens_in_no_other_place(plaintext, context, other):
    assume(context != other)
    with pytest.raises(SealBroken):
        RING.open_sealed(RING.seal(plaintext, context=context), context=other)


@given(texts, st.data())
def test_a_flipped_bit_never_opens(plaintext, data):
    raw = bytearray(RING.seal(plaintext, context="c").encode())
    bit = data.draw(st.integers(0, len(raw) * 8 - 1))
    raw[bit // 8] ^= 1 << bit % 8
    with pytest.raises(VaultError):
        RING.open_sealed(raw.decode("latin-1"), context="c")


@given(texts, st.data())
def test_a_flipped_bit_of_nonce_or_ciphertext_never_opens(plaintext, data):
    prefix, _, body = RING.seal(plaintext, context="c").rpartition(".")
    raw = bytearray(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    bit = data.draw(st.integers(0, len(raw) * 8 - 1))
    raw[bit // 8] ^= 1 << bit % 8
    with pytest.raises(SealBroken):
        RING.open_sealed(f"{prefix}.{base64.urlsafe_b64encode(raw).rstrip(b'=').decode()}", context="c")


@given(texts, st.data())
def test_a_truncated_or_extended_text_never_opens(plaintext, data):
    sealed = RING.seal(plaintext, context="c")
    cut = data.draw(st.integers(0, len(sealed) - 1))
    for changed in (sealed[:cut], sealed[cut + 1 :], sealed + "A", sealed + "=", sealed + "\n", " " + sealed):
        with pytest.raises(SealBroken):
            RING.open_sealed(changed, context="c")


@given(st.text())
def test_any_other_text_is_refused_by_name(text):
    with pytest.raises(VaultError):
        RING.open_sealed(text, context="c")


def test_a_second_spelling_of_the_same_bytes_is_refused():
    """Base64's last character has unused bits; only one spelling is a sealed text."""
    sealed = RING.seal("ab", context="c")
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    assert len(sealed.rpartition(".")[2]) % 4 == 0 or sealed[-1] != alphabet[alphabet.index(sealed[-1]) ^ 1]
    sealed = RING.seal("a", context="c")  # 29 bytes: the last character carries 4 of 6 bits
    respelled = sealed[:-1] + alphabet[alphabet.index(sealed[-1]) ^ 1]
    with pytest.raises(SealBroken):
        RING.open_sealed(respelled, context="c")


def test_the_key_id_cannot_be_exchanged():
    sealed = RING.seal("text", context="c").replace("v1.k1.", "v1.k2.")
    with pytest.raises(SealBroken):
        RING.open_sealed(sealed, context="c")


def test_the_same_text_is_never_sealed_the_same_way_twice():
    assert len({RING.seal("text", context="c") for _ in range(100)}) == 100


def test_later_keys_open_and_the_first_one_seals():
    old = KeyRing({"old": bytes(32)})
    both = KeyRing({"new": secrets.token_bytes(32), "old": bytes(32)})
    assert both.open_sealed(old.seal("text", context="c"), context="c") == "text"
    assert both.seal("text", context="c").startswith("v1.new.")
    assert keyring.key_id_of(old.seal("text", context="c")) == "old"


def test_a_key_that_is_gone_is_named_as_the_cause():
    sealed = KeyRing({"old": bytes(32)}).seal("text", context="c")
    with pytest.raises(UnknownKey, match="Put that key back"):
        RING.open_sealed(sealed, context="c")


def test_the_ring_is_read_from_the_settings():
    first, second = new_encryption_key(), new_encryption_key()
    with override_settings(ISTHMUS_ENCRYPTION_KEYS=f" {first} ,{second}"):
        assert keys_in_use.key_ring().primary_id == first.partition(":")[0]
        sealed = keys_in_use.seal("text", context="c")
    with override_settings(ISTHMUS_ENCRYPTION_KEYS=f"{second},{first}"):
        assert keys_in_use.open_sealed(sealed, context="c") == "text"


KEY = base64.urlsafe_b64encode(b"canary-canary-canary-canary-cana").decode()


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "holds no key"),
        (" , ", "holds no key"),
        (KEY, "Entry 1 .* malformed"),
        (f"k1:{KEY},k2", "Entry 2 .* malformed"),
        (f"k1:{KEY[:-4]}", "Entry 1 .* malformed"),
        (f"k1:{KEY}AAAA", "Entry 1 .* malformed"),
        (f"k 1:{KEY}", "Entry 1 .* malformed"),
        (f"k.1:{KEY}", "Entry 1 .* malformed"),
        (f":{KEY}", "Entry 1 .* malformed"),
        (f"k1:{KEY[:-5]}!AA=", "Entry 1 .* malformed"),
        (f"k1:{KEY},k1:{KEY}", "Entry 2 .* repeats"),
    ],
)
def test_malformed_keys_are_reported_at_start_up_and_never_quoted(text, sentence):
    with pytest.raises(KeysMalformed, match=sentence) as caught:
        KeyRing.parse(text)
    assert "Y2FuYXJ5" not in str(caught.value)
    with override_settings(ISTHMUS_ENCRYPTION_KEYS=text):
        (found,) = check_keys()
    assert found.id == "vault.E001"
    assert found.msg == caught.value.message.replace("The key ring", "ISTHMUS_ENCRYPTION_KEYS")


def test_good_keys_pass_the_check():
    with override_settings(ISTHMUS_ENCRYPTION_KEYS=f"k1:{KEY},k2:{KEY.rstrip('=')}"):
        assert check_keys() == []


def test_a_ring_shows_its_key_ids_only():
    assert repr(RING) == "<KeyRing k1, k2>"


def test_the_fingerprint_is_stable_short_and_keyed():
    first = keyring.fingerprint("text")
    assert first == keyring.fingerprint("text")
    assert len(first) == 8
    assert int(first, 16) >= 0
    assert first != keyring.fingerprint("texT")
    with override_settings(SECRET_KEY="another"):
        assert first != keyring.fingerprint("text")
    with override_settings(ISTHMUS_ENCRYPTION_KEYS=new_encryption_key()):
        assert first == keyring.fingerprint("text")


def test_the_examples_hold():
    assert doctest.testmod(keyring).failed == 0
