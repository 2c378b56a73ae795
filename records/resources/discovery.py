"""What there is: the resources of a version, the objects, their fields."""

from isthmus.access.identity import identity_url
from isthmus.objects.describe import describe_object, summarize_object
from records import reading
from records.calls import Answer, Call
from records.routing import resource

__all__ = ["TOP_LEVEL"]

TOP_LEVEL = (
    "actions",
    "composite",
    "limits",
    "parameterizedSearch",
    "query",
    "queryAll",
    "recent",
    "search",
    "sobjects",
    "tabs",
    "theme",
)
"""Resources that the list of a version names."""


def resources(call: Call) -> Answer:
    """Map the names of resources to their paths."""
    listed = {name: f"{call.base}/{name}" for name in sorted(TOP_LEVEL)}
    return Answer(body={"identity": identity_url(call.user), **listed})


def describe_global(call: Call) -> Answer:
    """Describe every object that the caller may see."""
    seen = reading.objects_seen(call.user)
    told = [summarize_object(object_type, user=call.user, version=call.version) for object_type in seen]
    return Answer(body={"encoding": "UTF-8", "maxBatchSize": 200, "sobjects": told})


def describe(call: Call, name: str) -> Answer:
    """Describe an object with its fields."""
    object_type = reading.object_of(name, call.user)
    return Answer(body=describe_object(object_type, user=call.user, version=call.version))


resource("", get=resources)
resource("sobjects", get=describe_global)
resource("sobjects/{name}/describe", get=describe)
