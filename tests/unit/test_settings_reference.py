"""The settings page says what the code declares."""

from pathlib import Path

from isthmus.management.commands.settings_reference import reference

PAGE = Path(__file__).resolve().parent.parent.parent / "docs" / "reference" / "settings.md"


def test_the_page_lists_every_declared_option_as_the_command_prints_it():
    assert PAGE.read_text().endswith(reference()), "python manage.py settings_reference prints the page's second half"
