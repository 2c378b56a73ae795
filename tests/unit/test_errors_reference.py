"""The errors page says what the code raises."""

from pathlib import Path

from isthmus.management.commands.errors_reference import reference

PAGE = Path(__file__).resolve().parent.parent.parent / "docs" / "reference" / "errors.md"


def test_the_page_lists_every_named_error_as_the_command_prints_it():
    assert PAGE.read_text().endswith(reference()), "python manage.py errors_reference prints the page's second half"
