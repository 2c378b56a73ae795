"""Which records of an object were changed or deleted lately.

Salesforce: https://developer.salesforce.com/docs/atlas.en-us.api_rest.meta/api_rest/resources_getupdated.htm
"""

from datetime import UTC, datetime

from isthmus import clock
from records import changes, reading
from records.calls import Answer, Call
from records.routing import resource

__all__: list[str] = []


def updated(call: Call, name: str) -> Answer:
    """List the records that were made or changed."""
    object_type = reading.object_of(name, call.user)
    with changes.covered_until(object_type) as covered:
        interval = changes.read_interval(call.query.get("start"), call.query.get("end"))
        ids = changes.updated_ids(call.user, object_type, interval)
    return Answer(body={"ids": ids, "latestDateCovered": _latest(interval, covered)})


def deleted(call: Call, name: str) -> Answer:
    """List the records that went to the recycle bin."""
    object_type = reading.object_of(name, call.user)
    with changes.covered_until(object_type) as covered:
        interval = changes.read_interval(call.query.get("start"), call.query.get("end"))
        found = changes.deleted_ids(call.user, object_type, interval)
    return Answer(
        body={
            "deletedRecords": [{"deletedDate": _written(moment), "id": record_id} for record_id, moment in found],
            # The recycle bin keeps what is deleted.
            "earliestDateAvailable": _written(clock.now() - changes.HISTORY),
            "latestDateCovered": _latest(interval, covered),
        }
    )


def _latest(interval: changes.Interval, covered: datetime) -> str:
    """Return where the next interval may begin."""
    return _written(max(interval.start, min(interval.end, covered)))


def _written(moment: datetime) -> str:
    utc = moment.astimezone(UTC)
    return f"{utc:%Y-%m-%dT%H:%M:%S}.{utc.microsecond // 1000:03d}+0000"


resource("sobjects/{name}/updated", get=updated)
resource("sobjects/{name}/deleted", get=deleted)
