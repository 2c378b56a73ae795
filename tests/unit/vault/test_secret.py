"""A secret is shown as a mask, wherever it gets."""

import copy
import json
import logging
import pickle
import traceback

import pytest
from django.core.serializers.json import DjangoJSONEncoder

from isthmus.vault.errors import SealBroken, SecretRefused
from isthmus.vault.keyring import fingerprint
from isthmus.vault.keys_in_use import seal
from isthmus.vault.secret import MASK, Sealed, Secret

CANARY = "canary-9f2c"


@pytest.mark.parametrize(
    "show",
    [str, repr, "{}".format, "{!r:>40}".format, "%s".__mod__, lambda secret: repr([secret]), lambda s: f"{s:>30}"],
)
def test_a_secret_shows_its_mask_only(show):
    shown = show(Secret(CANARY))
    assert MASK in shown
    assert CANARY not in shown


def test_a_secret_is_neither_serialised_nor_pickled():
    with pytest.raises(TypeError):
        json.dumps({"value": Secret(CANARY)}, cls=DjangoJSONEncoder)
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(Secret(CANARY))
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(Secret(CANARY), protocol=0)


def test_copies_are_the_secret_itself():
    secret = Secret(CANARY)
    assert copy.copy(secret) is secret
    assert copy.deepcopy({"a": secret})["a"] is secret


def test_it_has_no_attributes_to_dump():
    assert not hasattr(Secret(CANARY), "__dict__")


def test_reveal_and_fingerprint_and_matches():
    secret = Secret(CANARY)
    assert secret.reveal() == CANARY
    assert secret.fingerprint == fingerprint(CANARY)
    assert secret.matches(CANARY)
    assert not secret.matches(CANARY + "x")
    assert not secret.matches("")


def test_the_mask_is_no_secret():
    with pytest.raises(SecretRefused, match="mask"):
        Secret(MASK)


def test_a_sealed_secret_opens_at_its_place_only():
    sealed = seal(CANARY, context="here")
    assert Secret(None, sealed=sealed, context="here").reveal() == CANARY
    with pytest.raises(SealBroken):
        Secret(None, sealed=sealed, context="there").reveal()


def test_a_secret_without_a_place_is_not_sealed():
    with pytest.raises(SecretRefused, match="for its row"):
        Secret(CANARY).as_sealed()


def test_moving_a_secret_seals_it_for_the_other_place():
    there = Secret(None, sealed=seal(CANARY, context="here"), context="here").placed_at("there")
    assert Secret(None, sealed=there.as_sealed().text, context="there").reveal() == CANARY


def test_a_sealed_text_is_masked_too_and_may_be_pickled():
    sealed = Sealed("v1.k.abc")
    assert str(sealed) == repr(sealed) == MASK
    assert pickle.loads(pickle.dumps(sealed)).text == "v1.k.abc"


def test_neither_logs_nor_tracebacks_hold_it(caplog):
    secret = Secret(None, sealed=seal(CANARY, context="here"), context="there")
    with caplog.at_level(logging.DEBUG):
        logging.getLogger("sample").warning("used %s", Secret(CANARY))
        try:
            secret.reveal()
        except SealBroken as error:
            shown = "".join(traceback.format_exception(error))
    assert CANARY not in shown + caplog.text
