"""What the record API adds to the console."""

from isthmus.console.registry import Page, register_page

__all__ = ["register"]


def register() -> None:
    """Join the console; called once, when the app is ready."""
    register_page(Page("Record explorer", "records_pages:explorer", "record", 37))
