"""Custom channels: topics made of others.

The log reads the events of all members; what of them a channel carries is found when they are delivered: its filters
choose, and fields are added whose values are those of the record at that moment, as Salesforce does
(https://developer.salesforce.com/docs/atlas.en-us.change_data_capture.meta/change_data_capture/cdc_enriched_events.htm).
So a reader's position moves past events that the filters leave out.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from events.changes import HEADER, object_of_topic, schema_of_topic
from events.errors import InvalidFilter, UnknownTopic
from events.filters import Filter, parse_filter
from events.models import Channel, ChannelMember, Topic
from events.names import UNION_TOPIC, topic_kind
from events.subscribers import Event
from isthmus.objects.reading import current_values
from isthmus.objects.record_ids import decode

__all__ = ["Source", "carrying", "check_member", "decided", "looked_at", "narrowed", "sources"]

MOST_ENRICHED = 10

_ENRICHED_TYPES = {"UPDATE", "DELETE"}


@dataclass(frozen=True, kw_only=True)
class Source:
    """A topic whose events another one carries."""

    topic: str
    joined_at: int = 0
    """Replay id of the newest event when it began to be carried."""


def sources(channel: str) -> list[Source]:
    """Return the topics of a channel's members. Raises `UnknownTopic`."""
    return [Source(topic=row.topic.name, joined_at=row.joined_at_replay_id) for row in _members(channel)]


def carrying(topic: str) -> list[str]:
    """Return every topic that carries events which are published to this one, itself first."""
    found = [topic, UNION_TOPIC] if topic_kind(topic) == "data" else [topic]
    rows = ChannelMember.objects.filter(topic__name=topic).order_by("channel__topic__name")
    return [*found, *rows.values_list("channel__topic__name", flat=True)]


def narrowed(topic: str, events: Sequence[Event]) -> Sequence[Event]:
    """Return what the topic carries of these events; all of them unless it is a channel.

    An event that names several records and gets further fields becomes one for each record, with the same replay id.
    Gap events are always carried: nobody knows what they hide.
    """
    if topic_kind(topic) != "channel":
        return events
    members = {member.topic: member for member in map(_member, _members(topic))}
    carried = [event for event in events if event.topic in members]
    current = _current_values(members, carried)
    return [
        narrow
        for event in carried
        for narrow in _told_apart(event, members[event.topic], current.get(event.topic, {}))
        if members[event.topic].wants(narrow)
    ]


def looked_at(row: ChannelMember) -> frozenset[str]:
    """Return the fields whose current values the member adds to updates and deletions, those of its filter included."""
    return _member(row).enriched


def decided(row: ChannelMember, event: Event, current: Mapping[int, Mapping[str, Any]]) -> list[tuple[Event, bool]]:
    """Return what the channel makes of an event of this member, each with whether the filter lets it through.

    `current`: by primary key, what the records hold now in the fields that are `looked_at`.
    """
    member = _member(row)
    return [(narrow, member.wants(narrow)) for narrow in _told_apart(event, member, current)]


def check_member(channel: Channel, topic: str, filter_expression: str, enriched_fields: Sequence[str]) -> None:
    """Return if the channel can carry the topic like that. Raises `InvalidFilter`."""
    if topic_kind(topic) != channel.kind:
        raise InvalidFilter(f"The channel carries {channel.get_kind_display().lower()} only.")
    schema = schema_of_topic(topic)
    if schema is None:
        raise InvalidFilter(f"Nothing is published to {topic}.")
    if filter_expression:
        parse_filter(filter_expression).check(schema)
    if enriched_fields and topic_kind(topic) != "data":
        raise InvalidFilter("Only change events get further fields; platform events carry what was published.")
    if len(enriched_fields) > MOST_ENRICHED:
        raise InvalidFilter(f"At most {MOST_ENRICHED} fields are added, not {len(enriched_fields)}.")
    known = {field.name for field in schema.plain_fields() if "." not in field.name}
    if unknown := sorted(set(enriched_fields) - known):
        raise InvalidFilter(f"{schema.record_name} has no field {', '.join(unknown)}.")


@dataclass(frozen=True, kw_only=True)
class _Member:
    topic: str
    filter: Filter | None
    enriched: frozenset[str]
    """Names of the fields whose current values are needed; the filter's are among them."""

    def wants(self, event: Event) -> bool:
        return self.filter is None or _is_gap(event) or self.filter.takes(event.payload)


def _members(channel: str) -> Iterable[ChannelMember]:
    rows = ChannelMember.objects.filter(channel__topic__name=channel).select_related("topic").order_by("topic__name")
    found = list(rows)
    # A subscriber may be declared before its channel is made.
    if not found and not Topic.objects.filter(name=channel).exists():
        raise UnknownTopic(f"There is no channel named {channel!r}.")
    return found


def _member(row: ChannelMember) -> _Member:
    found = parse_filter(row.filter_expression) if row.filter_expression else None
    looked_at = {name for name in found.fields if "." not in name} if found is not None else set()
    is_data = topic_kind(row.topic.name) == "data"
    return _Member(
        topic=row.topic.name, filter=found, enriched=frozenset(looked_at.union(row.enriched_fields) if is_data else ())
    )


def _told_apart(event: Event, member: _Member, current: Mapping[int, Mapping[str, Any]]) -> Iterator[Event]:
    if not member.enriched or not _is_enriched(event):
        yield event
        return
    header = event.payload[HEADER]
    for record_id in header["recordIds"]:
        found = current.get(_pk(record_id), {})
        added = {name: found.get(name) for name in sorted(member.enriched)}
        yield replace(event, payload={HEADER: {**header, "recordIds": [record_id]}, **added, **_body(event)})


def _current_values(members: Mapping[str, _Member], events: Sequence[Event]) -> dict[str, dict[int, dict[str, Any]]]:
    """Return by topic and record what the enriched fields hold now."""
    pks: dict[str, list[int]] = {}
    for event in events:
        if members[event.topic].enriched and _is_enriched(event):
            pks.setdefault(event.topic, []).extend(_pk(record_id) for record_id in event.payload[HEADER]["recordIds"])
    found = {}
    for topic, wanted in pks.items():
        changed = object_of_topic(topic)
        if changed is not None:
            found[topic] = current_values(changed, wanted, members[topic].enriched)
    return found


def _is_enriched(event: Event) -> bool:
    return HEADER in event.payload and event.payload[HEADER]["changeType"] in _ENRICHED_TYPES


def _is_gap(event: Event) -> bool:
    return event.is_gap or (HEADER in event.payload and event.payload[HEADER]["changeType"].startswith("GAP_"))


def _body(event: Event) -> dict[str, Any]:
    return {name: value for name, value in event.payload.items() if name != HEADER}


def _pk(record_id: str) -> int:
    return decode(record_id)[1]
