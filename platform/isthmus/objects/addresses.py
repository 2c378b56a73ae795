"""Where records are on the wire."""

from isthmus.objects import catalogue
from isthmus.objects.describe import API_VERSION
from isthmus.objects.record_ids import decode

__all__ = ["record_path"]


def record_path(record_id: str) -> str:
    """Return the path of a record, relative to the host. Raises `MalformedId`."""
    prefix, _ = decode(record_id)
    object_type = catalogue.object_of_prefix(prefix)
    name = object_type.api_name if object_type is not None else prefix
    return f"/services/data/v{API_VERSION}/sobjects/{name}/{record_id}"
