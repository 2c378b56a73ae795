"""What the record API adds to the console."""

from collections.abc import Iterator

from django.urls import reverse

from isthmus.access.policy import AnyUser
from isthmus.console.registry import Link, Page, register_links, register_page
from isthmus.objects.console import object_and_number
from isthmus.objects.permissions import may
from isthmus.objects.record_ids import encode

__all__ = ["register"]


def register() -> None:
    """Join the console; called once, when the app is ready."""
    register_page(Page("Record explorer", "records_pages:explorer", "record", 37))
    register_links(links_of)


def links_of(user: AnyUser, reference: str) -> Iterator[Link]:
    """Yield the way from a record's time line to the record."""
    found = object_and_number(reference)
    if found is not None and may(user, found[0], "read"):
        object_type, number = found
        address = reverse("records_pages:record", args=[object_type.api_name, encode(object_type.key_prefix, number)])
        yield Link("Record", "record", address)
