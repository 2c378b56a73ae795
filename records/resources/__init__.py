"""What there is below `/services/data/vNN.0`. Importing this declares every resource, the more special ones first."""

from records.resources import (  # isort: skip
    composite,
    discovery,
    limits,
    changes,
    recent,
    actions,
    event_schemas,
    queries,
    searching,
    sobjects,
    related,
)

__all__ = [
    "actions",
    "changes",
    "composite",
    "discovery",
    "event_schemas",
    "limits",
    "queries",
    "recent",
    "related",
    "searching",
    "sobjects",
]
