"""What every token store does, whatever it keeps tokens in."""

from datetime import timedelta

import pytest

from credentials.actions import create_external_credential, create_principal
from credentials.errors import TokenEndpointRefused
from credentials.testing import InMemoryTokenStore
from credentials.token_store import DatabaseTokenStore
from credentials.tokens import Held, TokenAnswer
from isthmus.vault.secret import Secret

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(params=["memory", "database"])
def store(request, moving_clock):
    if request.param == "memory":
        return InMemoryTokenStore()
    external = create_external_credential("Acme", protocol="basic")
    return DatabaseTokenStore(create_principal(external, "Main"), None)


def answer(text="t1", seconds=100):
    return TokenAnswer(access_token=Secret(text), expires_in_seconds=seconds)


def test_a_new_store_holds_nothing(store):
    assert store.held() == Held(generation=0, token=None, failure=None, failed_at=None)


def test_a_kept_token_is_held(store, moving_clock):
    token = store.keep(store.claim(store.held()), answer())
    held = store.held()
    assert held.generation == token.generation == held.token.generation == 1
    assert held.token.text.reveal() == token.text.reveal() == "t1"
    assert held.token.obtained_at == moving_clock.now()
    assert held.token.expires_at == token.expires_at == moving_clock.now() + timedelta(seconds=100)
    assert held.failure is None


def test_a_token_of_unknown_lifetime_lives_for_five_minutes(store, moving_clock):
    store.keep(store.claim(store.held()), answer(seconds=None))
    assert store.held().token.expires_at == moving_clock.now() + timedelta(minutes=5)


def test_one_claim_at_a_time(store):
    claim = store.claim(store.held())
    assert store.claim(store.held()) is None
    store.release(claim)
    assert store.held().generation == 0
    assert store.claim(store.held()) is not None


def test_a_claim_ends_with_its_lease(store, moving_clock):
    assert store.claim(store.held()) is not None
    moving_clock.move(timedelta(seconds=29))
    assert store.claim(store.held()) is None
    moving_clock.move(timedelta(seconds=1))
    assert store.claim(store.held()) is not None


def test_who_looked_before_the_last_answer_cannot_claim(store):
    seen = store.held()
    store.keep(store.claim(seen), answer())
    assert store.claim(seen) is None
    assert store.claim(store.held()) is not None


def test_a_failure_is_held_until_it_works_again_and_the_token_stays(store, moving_clock):
    store.keep(store.claim(store.held()), answer())
    store.fail(store.claim(store.held()), TokenEndpointRefused("Not you."))
    held = store.held()
    assert held.generation == 2
    assert (held.token.text.reveal(), held.token.generation) == ("t1", 1)
    assert type(held.failure) is TokenEndpointRefused
    assert held.failure.message == "Not you."
    assert held.failed_at == moving_clock.now()
    store.keep(store.claim(held), answer("t2"))
    assert (store.held().generation, store.held().failure, store.held().failed_at) == (3, None, None)
    assert store.held().token.text.reveal() == "t2"
