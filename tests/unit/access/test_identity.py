"""Ids on the wire."""

import re

from django.contrib.auth.models import User
from hypothesis import given
from hypothesis import strategies as st

from isthmus.access.hashers import MachineSecretHasher
from isthmus.access.identity import identity_url, organization_id, user_id
from isthmus.access.tokens import new_token_text
from isthmus.objects.record_ids import encode, record_id_of

# What the `sf` command line accepts as an access token.
COMMAND_LINE_TOKEN = re.compile(r"^(00D\w{12,15})![.\w]*$")


def test_the_organization_id_has_a_short_and_a_checked_form(settings):
    settings.ISTHMUS_ACCESS_ORGANIZATION_ID = "00D5g000004AbcD"
    assert organization_id(length=15) == "00D5g000004AbcD"
    assert organization_id() == "00D5g000004AbcDEAS"


def test_the_organization_id_follows_the_base_url(settings):
    settings.BASE_URL = "https://one.example.org"
    first = organization_id()
    assert organization_id() == first
    assert re.fullmatch(r"00D[0-9A-Za-z]{15}", first)
    settings.BASE_URL = "https://two.example.org"
    assert organization_id() != first


def test_ids_are_the_record_ids_that_the_records_have():
    for number in (1, 61, 62, 2**40 + 12345):
        assert user_id(User(pk=number)) == encode("005", number) == record_id_of(User(pk=number))


def test_a_user_id_counts_in_base_62():
    assert user_id(User(pk=1))[:15] == "005000000000001"
    assert user_id(User(pk=61))[:15] == "00500000000000z"
    assert user_id(User(pk=62))[:15] == "005000000000010"


def test_the_identity_address_ends_with_both_ids(settings):
    settings.BASE_URL = "https://isthmus.example.org"
    user = User(pk=7)
    assert identity_url(user) == f"https://isthmus.example.org/id/{organization_id()}/{user_id(user)}"


def test_every_token_has_the_form_that_the_command_line_wants():
    texts = {new_token_text() for _ in range(200)}
    assert len(texts) == 200
    assert all(COMMAND_LINE_TOKEN.match(text) for text in texts)
    assert min(len(text.partition("!")[2]) for text in texts) == 43


@given(st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=60))
def test_a_stored_secret_accepts_only_itself(secret):
    hasher = MachineSecretHasher()
    stored = hasher.encode(secret, hasher.salt())
    assert secret not in stored.split("$", 2)[2] or len(secret) < 6
    assert hasher.verify(secret, stored)
    assert not hasher.verify(secret + "x", stored)
