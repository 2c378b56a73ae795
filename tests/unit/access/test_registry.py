"""Kinds of grants."""

import pytest

from isthmus.access.errors import UnknownGrantAction, UnknownGrantKind
from isthmus.access.registry import (
    GrantKind,
    all_grant_kinds,
    grant_kind,
    register_grant_kind,
    register_grant_kind_temporarily,
)

LAMPS = GrantKind(
    name="lamp", label="Lamps", actions=("see", "light"), targets=lambda: ["Hall"], implied={"light": ("see",)}
)


def test_a_kind_is_found_by_name_while_it_is_registered():
    with register_grant_kind_temporarily(LAMPS):
        assert grant_kind("lamp") is LAMPS
        assert LAMPS in all_grant_kinds()
        with pytest.raises(ValueError, match="registered already"):
            register_grant_kind(LAMPS)
    with pytest.raises(UnknownGrantKind, match="no kind of grant 'lamp'"):
        grant_kind("lamp")


def test_an_action_is_given_by_itself_and_by_what_implies_it():
    assert LAMPS.actions_that_give("see") == ("see", "light")
    assert LAMPS.actions_that_give("light") == ("light",)
    with pytest.raises(UnknownGrantAction, match="Lamps have no action 'smash'; they have: see, light"):
        LAMPS.actions_that_give("smash")
