"""Apps add to the shell; the shell knows none of them."""

import pytest

from isthmus.console import registry
from isthmus.console.registry import Figure, Page
from isthmus.console.tones import Tone


def test_pages_stand_in_their_order_and_home_is_first():
    found = registry.pages()
    assert [page.label for page in found] == [
        "Home",
        "Background operations",
        "Integration log",
        "Queued callouts",
        "External services",
        "API endpoints",
        "Record explorer",
        "Event monitor",
        "Connections",
        "Named credentials",
        "My connections",
        "Limits",
        "Why?",
        "API documentation",
    ]


def test_an_address_is_registered_once():
    with pytest.raises(ValueError, match="'console:home' is registered already"):
        registry.register_page(Page("Another", "console:home", "home", 5))


def test_every_tone_has_an_icon():
    assert {tone.icon for tone in Tone} == {"check", "progress", "clock", "alert", "cross", "dot"}


def test_figures_registered_for_a_while_are_gone_afterwards():
    mine = Figure("Mine", "1", "/")
    with registry.register_figures_temporarily(lambda: [mine]):
        assert registry._figures[-1]() == [mine]
    assert all(figures.__module__ != __name__ for figures in registry._figures)
