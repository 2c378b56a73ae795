"""Makes and changes custom channels; everything is recorded in the audit trail."""

from django.db import transaction

from events import channels, topics
from events.logs import get_event_log
from events.models import Channel, ChannelMember
from isthmus.audit import actions as audit

__all__ = ["remove_member", "save_channel", "save_member"]


def save_channel(channel: Channel) -> Channel:
    """Store a channel; a new one gets its topic. What it carries never changes afterwards."""
    with transaction.atomic():
        get_event_log().ensure_topics([channel.topic_name])
        channel.topic = topics.ensure([channel.topic_name])[channel.topic_name]
        channel.save()
        audit.record("events.channel_changed", target=channel.name, details={"label": channel.label})
    return channel


def save_member(member: ChannelMember) -> ChannelMember:
    """Store a member; a new one is carried from the oldest kept event on. Raises `InvalidFilter`."""
    channels.check_member(member.channel, member.topic.name, member.filter_expression, member.enriched_fields)
    with transaction.atomic():
        if member.pk is None:
            member.joined_at_replay_id = get_event_log().newest()
        member.save()
        audit.record(
            "events.channel_member_changed",
            target=member.channel.name,
            details={
                "topic": member.topic.name,
                "filter": member.filter_expression,
                "enriched_fields": member.enriched_fields,
            },
        )
    return member


def remove_member(member: ChannelMember) -> None:
    """Carry the topic no longer."""
    with transaction.atomic():
        audit.record("events.channel_member_removed", target=member.channel.name, details={"topic": member.topic.name})
        member.delete()
