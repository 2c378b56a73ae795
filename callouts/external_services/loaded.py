"""Parsed documents and compiled schemas that a process keeps. Versions never change, so nothing here gets old."""

import json
import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any

from callouts.external_services.conf import options
from callouts.external_services.models import ExternalServiceVersion
from callouts.external_services.references import BrokenReference
from callouts.external_services.schemas import Direction, SchemaValidator, compile_schema
from isthmus.logs import get_logger

__all__ = ["validator_for"]

log = get_logger(__name__)


@dataclass
class _Loaded:
    content: dict[str, Any]
    validators: dict[tuple[str, Direction], SchemaValidator | None] = field(default_factory=dict)


_lock = threading.Lock()
_loaded: "OrderedDict[str, _Loaded]" = OrderedDict()


def validator_for(version: ExternalServiceVersion, pointer: str, direction: Direction) -> SchemaValidator | None:
    """Return the validator of the schema at `pointer`; `None` where none can be made, so that the service judges."""
    loaded = _load(version)
    key = (pointer, direction)
    if key not in loaded.validators:
        try:
            made = compile_schema(
                loaded.content, pointer, is_3_0=version.openapi_version.startswith("3.0."), direction=direction
            )
        except BrokenReference as broken:
            log.warning("external_service.schema_unusable", version=version.pk, pointer=pointer, reason=broken.reason)
            made = None
        loaded.validators[key] = made
    return loaded.validators[key]


def _load(version: ExternalServiceVersion) -> _Loaded:
    with _lock:
        found = _loaded.get(version.digest)
        if found is not None:
            _loaded.move_to_end(version.digest)
            return found
    made = _Loaded(json.loads(version.document))
    with _lock:
        _loaded[version.digest] = made
        while len(_loaded) > options.cached_documents:
            _loaded.popitem(last=False)
    return made
