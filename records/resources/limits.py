"""How much callers may use, and how many records there are.

Salesforce: https://developer.salesforce.com/docs/atlas.en-us.api_rest.meta/api_rest/resources_limits.htm
"""

from django.contrib.auth.models import AbstractUser

from isthmus.access.limits import UNLIMITED, told_to_clients
from isthmus.objects import sharing
from isthmus.objects.object_types import ObjectType
from isthmus.objects.reading import live_rows
from records import reading
from records.calls import Answer, Call
from records.routing import resource

__all__: list[str] = []

_NOT_LIMITED = (
    "ConcurrentAsyncGetReportInstances",
    "DailyBulkApiBatches",
    "DailyBulkApiRequests",
    "DailyBulkV2QueryFileStorageMB",
    "DailyBulkV2QueryJobs",
    "DailyStreamingApiEvents",
    "DataStorageMB",
    "FileStorageMB",
)
"""What Salesforce limits and this platform does not. Clients look before they begin, and stop at a missing entry."""


def limits(_call: Call) -> Answer:
    """Tell every limit with what is left of it."""
    found = {**dict.fromkeys(_NOT_LIMITED, (UNLIMITED, UNLIMITED)), **told_to_clients()}
    return Answer(body={name: {"Max": found[name][0], "Remaining": found[name][1]} for name in sorted(found)})


def record_count(call: Call) -> Answer:
    """Count the live records that the caller sees, of the objects that `sObjects` names or of all of them.

    Unknown names are left out.
    """
    asked = call.query.get("sObjects")
    wanted = None if asked is None else {name.strip().lower() for name in asked.split(",")}
    seen = [one for one in reading.objects_seen(call.user) if one.model is not None]
    chosen = [one for one in seen if wanted is None or one.api_name.lower() in wanted]
    return Answer(body={"sObjects": [{"count": _count(one, call.user), "name": one.api_name} for one in chosen]})


def _count(object_type: ObjectType, user: AbstractUser) -> int:
    if object_type.model is None:
        return 0
    return sharing.visible(user, object_type, live_rows(object_type.model)).count()


resource("limits", get=limits)
resource("limits/recordCount", get=record_count)
