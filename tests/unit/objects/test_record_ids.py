"""Record ids: a prefix, a number in base 62, a checksum of letter case."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from isthmus.objects.errors import MalformedId
from isthmus.objects.record_ids import decode, encode, to_18

LARGEST = 62**12 - 1

DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
prefixes = st.text(DIGITS, min_size=3, max_size=3)
numbers = st.integers(0, LARGEST)


@pytest.mark.parametrize(
    ("short", "long"),
    [
        # Pairs that Salesforce's own documentation and its users publish.
        ("001A0000006Vm9r", "001A0000006Vm9rIAC"),
        ("00D000000000062", "00D000000000062EAA"),
    ],
)
def test_the_checksum_is_salesforces(short, long):
    assert to_18(short) == long
    assert to_18(long) == long


@given(prefixes, numbers)
def test_what_is_encoded_is_decoded_in_both_forms(prefix, number):
    long = encode(prefix, number)
    assert len(long) == 18
    assert decode(long) == decode(long[:15]) == (prefix, number)
    assert to_18(long[:15]) == long


@given(prefixes, numbers, numbers)
def test_ids_sort_as_texts_of_bytes_like_their_numbers(prefix, one, other):
    assert (encode(prefix, one)[:15] < encode(prefix, other)[:15]) == (one < other)


@given(prefixes, numbers, st.integers(0, 14))
def test_a_letter_whose_case_was_lost_is_noticed(prefix, number, place):
    long = encode(prefix, number)
    assume(long[place].isalpha())
    spoilt = long[:place] + long[place].swapcase() + long[place + 1 :]
    with pytest.raises(MalformedId):
        decode(spoilt)


@given(st.text(DIGITS + "-_ \u00e9\u0660", max_size=20))
def test_a_text_of_another_form_is_refused(text):
    assume(len(text) != 15 or not set(text) <= set(DIGITS))
    assume(len(text) != 18 or not set(text[:15]) <= set(DIGITS) or to_18(text[:15]) != text)
    with pytest.raises(MalformedId) as refused:
        decode(text)
    assert (refused.value.code, refused.value.status) == ("MALFORMED_ID", 400)


@pytest.mark.parametrize(("prefix", "number"), [("00", 1), ("0001", 1), ("00-", 1), ("001", -1), ("001", LARGEST + 1)])
def test_impossible_ids_are_not_made(prefix, number):
    with pytest.raises(ValueError, match="is not a"):
        encode(prefix, number)
