"""Definitions and schemas, what waits to be relayed, the log, and who has read how far."""

from django.core.validators import RegexValidator
from django.db import models

from events import querysets
from events.avro import AvroSchema
from events.json_text import JsonTextField
from events.subscribers import Event
from isthmus import causes, clock, ids

__all__ = [
    "ChangedRecord",
    "Channel",
    "ChannelKind",
    "ChannelMember",
    "EventDefinition",
    "EventFieldDefinition",
    "EventFieldKind",
    "EventLogEntry",
    "EventSchema",
    "EventUsage",
    "NumberSeries",
    "OutboxEvent",
    "ParkedEvent",
    "ParkedState",
    "PublishBehaviorChoice",
    "Subscription",
    "SubscriptionState",
    "Topic",
    "TopicKind",
]


class EventSchema(models.Model):
    """One version of an event's Avro schema. Never changed, never removed: kept events refer to it."""

    schema_id = models.CharField(max_length=22, primary_key=True)
    record_name = models.CharField(max_length=120, db_index=True, help_text="Name of the Avro record.")
    document = models.TextField(help_text="The schema, as JSON.")
    created_at = models.DateTimeField(default=clock.now)

    class Meta:
        ordering = ["record_name", "created_at"]

    def __str__(self) -> str:
        return f"{self.record_name} {self.schema_id}"

    def as_avro(self) -> AvroSchema:
        """Return the schema itself."""
        return AvroSchema(self.record_name, self.document)


class TopicKind(models.TextChoices):
    """What a topic carries."""

    EVENT = "event", "Platform event"
    DATA = "data", "Change events of one object"
    UNION = "union", "Change events of all objects"
    CHANNEL = "channel", "Members of a custom channel"

    @classmethod
    def of_their_own(cls) -> list["TopicKind"]:
        """Return the kinds of topics that are published to; the others carry what these have."""
        return [cls.EVENT, cls.DATA]


class Topic(models.Model):
    """A named stream of events that are read in the order of their replay ids."""

    name = models.CharField(max_length=150, unique=True)
    kind = models.CharField(max_length=10, choices=TopicKind.choices)
    last_replay_id = models.BigIntegerField(default=0, help_text="The newest event; 0 while there was none.")
    trimmed_replay_id = models.BigIntegerField(
        default=0, help_text="The newest event that is no longer kept; 0 while all are."
    )
    logged_events = models.BigIntegerField(default=0, help_text="Events that ever entered the log.")
    kept_events = models.BigIntegerField(default=0, help_text="Events that can be read now.")
    kept_bytes = models.BigIntegerField(default=0, help_text="Size of their payloads.")
    complete_replay_id = models.BigIntegerField(
        default=0, help_text="Up to this event the log was found to hold every one that entered it."
    )
    complete_events = models.BigIntegerField(default=0, help_text="How many had entered it by then.")
    complete_until = models.DateTimeField(
        null=True, blank=True, help_text="Every event that was committed by then is in the log."
    )
    retention_hours = models.PositiveIntegerField(
        null=True, blank=True, help_text="Hours for which events are kept; empty: the setting's."
    )
    retention_bytes = models.PositiveBigIntegerField(
        null=True, blank=True, help_text="Bytes of payload that are kept at most; empty: no limit."
    )

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name

    @property
    def is_published_to(self) -> bool:
        """Whether it has events of its own."""
        return self.kind in TopicKind.of_their_own()


class ChannelKind(models.TextChoices):
    """What the members of a channel are."""

    DATA = "data", "Change events"
    EVENT = "event", "Platform events"


class Channel(models.Model):
    """A topic made of others: of each member's events those that its filter takes, with further fields."""

    name = models.CharField(
        "API name",
        max_length=80,
        unique=True,
        validators=[RegexValidator(r"^[A-Za-z][A-Za-z0-9]*(_[A-Za-z0-9]+)*__chn$", "It looks like Partner__chn.")],
        help_text="Such as Partner__chn.",
    )
    label = models.CharField(max_length=80)
    kind = models.CharField("carries", max_length=10, choices=ChannelKind.choices, default=ChannelKind.DATA)
    topic = models.OneToOneField(Topic, on_delete=models.PROTECT, related_name="channel", editable=False)

    class Meta:
        ordering = ["label", "name"]

    def __str__(self) -> str:
        return self.label

    @property
    def topic_name(self) -> str:
        """The name under which it is subscribed to."""
        return f"/{self.kind}/{self.name}"


class ChannelMember(models.Model):
    """A topic whose events a channel carries."""

    channel = models.ForeignKey(Channel, on_delete=models.CASCADE, related_name="members")
    topic = models.ForeignKey(
        Topic, on_delete=models.PROTECT, related_name="memberships", limit_choices_to={"kind__in": ["event", "data"]}
    )
    filter_expression = models.TextField(
        "filter", blank=True, help_text="Such as Status = 'New' AND Amount > 100; empty: every event."
    )
    enriched_fields = models.JSONField(
        default=list, blank=True, help_text="Fields that updates and deletions carry although they did not change."
    )
    joined_at_replay_id = models.BigIntegerField(
        default=0, editable=False, help_text="The newest event of the log when it became a member."
    )

    class Meta:
        ordering = ["channel", "topic__name"]
        constraints = [models.UniqueConstraint(fields=["channel", "topic"], name="channel_member_once")]

    def __str__(self) -> str:
        return f"{self.topic}"


class PublishBehaviorChoice(models.TextChoices):
    """When an event leaves."""

    AFTER_COMMIT = "PublishAfterCommit", "After commit"
    IMMEDIATELY = "PublishImmediately", "Immediately"


class EventDefinition(models.Model):
    """A platform event: declared by the code, which is the truth then, or made by an administrator, with its fields."""

    api_name = models.CharField("API name", max_length=80, unique=True, help_text="Such as Order_Ready__e.")
    label = models.CharField(max_length=80)
    description = models.TextField(blank=True)
    topic = models.OneToOneField(Topic, on_delete=models.PROTECT, related_name="definition", editable=False)
    schema = models.ForeignKey(
        EventSchema, on_delete=models.PROTECT, related_name="+", verbose_name="current schema", editable=False
    )
    declared_in = models.CharField(
        max_length=255,
        blank=True,
        editable=False,
        help_text="Dotted path of the class; empty: made by an administrator.",
    )
    is_active = models.BooleanField("can be published", default=True)
    publish_behavior = models.CharField(
        max_length=20, choices=PublishBehaviorChoice.choices, default=PublishBehaviorChoice.AFTER_COMMIT
    )
    partition_key = models.CharField(
        max_length=80, blank=True, help_text="API name of the field whose values keep their order among themselves."
    )
    modified_at = models.DateTimeField(default=clock.now, editable=False)

    class Meta:
        ordering = ["label", "api_name"]

    def __str__(self) -> str:
        return self.label


class EventFieldKind(models.TextChoices):
    """The types of the fields of an event."""

    TEXT = "Text", "Text"
    LONG_TEXT = "LongText", "Long text"
    NUMBER = "Number", "Number"
    CHECKBOX = "Checkbox", "Checkbox"
    DATE = "Date", "Date"
    DATETIME = "DateTime", "Date and time"
    RECORD_ID = "RecordIdField", "Record id"


class EventFieldDefinition(models.Model):
    """A field of an event that an administrator made."""

    definition = models.ForeignKey(EventDefinition, on_delete=models.CASCADE, related_name="fields")
    api_name = models.CharField("API name", max_length=80, help_text="Such as Order_Number__c.")
    label = models.CharField(max_length=80, blank=True)
    kind = models.CharField("type", max_length=20, choices=EventFieldKind.choices, default=EventFieldKind.TEXT)
    is_required = models.BooleanField("required", default=False)
    default_value = models.CharField("default", max_length=255, blank=True, help_text="Where none is given.")
    length = models.PositiveIntegerField(null=True, blank=True, help_text="Longest text, in characters.")
    precision = models.PositiveIntegerField(null=True, blank=True, help_text="Digits of a number.")
    scale = models.PositiveIntegerField(null=True, blank=True, help_text="Of these, after the point.")
    help_text = models.CharField(max_length=255, blank=True)

    class Meta:
        ordering = ["definition", "pk"]
        constraints = [models.UniqueConstraint(fields=["definition", "api_name"], name="event_field_once")]

    def __str__(self) -> str:
        return self.api_name


class OutboxEvent(models.Model):
    """A platform event that is published and not yet relayed, in the transaction of its publisher.

    No constraint binds it to topic and schema: they never go, and checking would cost every publisher two look-ups.
    """

    event_uuid = models.UUIDField(default=ids.new_uuid, editable=False)
    topic = models.ForeignKey(Topic, on_delete=models.PROTECT, related_name="+", db_constraint=False, db_index=False)
    schema = models.ForeignKey(
        EventSchema, on_delete=models.PROTECT, related_name="+", db_constraint=False, db_index=False
    )
    payload = JsonTextField()
    size = models.PositiveIntegerField(help_text="Bytes of the payload.")
    transaction_key = models.UUIDField()
    correlation_id = models.CharField(max_length=128, blank=True)
    cause = models.CharField(
        max_length=causes.MAX_LENGTH,
        blank=True,
        db_default="",
        default="",
        help_text="What it was published in, such as `operation:0198…`.",
    )
    created_at = models.DateTimeField()

    class Meta:
        ordering = ["id"]
        indexes = [models.Index(fields=["transaction_key", "id"], name="outbox_transaction")]

    def __str__(self) -> str:
        return f"{self.topic} {self.event_uuid}"


class NumberSeries(models.Model):
    """A gapless counter whose locked row puts those who draw from it in line."""

    name = models.CharField(max_length=40, primary_key=True)
    last_number = models.BigIntegerField(default=0)

    class Meta:
        verbose_name_plural = "number series"

    def __str__(self) -> str:
        return f"{self.name}: {self.last_number}"


class EventLogEntry(models.Model):
    """A published event as subscribers read it. One series of replay ids serves all topics.

    Topic and schema are bound by no constraint, as in `OutboxEvent`.
    """

    replay_id = models.BigIntegerField(primary_key=True)
    topic = models.ForeignKey(
        Topic, on_delete=models.PROTECT, related_name="entries", db_constraint=False, db_index=False
    )
    event_uuid = models.UUIDField(unique=True)
    schema = models.ForeignKey(
        EventSchema, on_delete=models.PROTECT, related_name="+", db_constraint=False, db_index=False
    )
    payload = JsonTextField(null=True, help_text="Empty where the log is elsewhere.")
    size = models.PositiveIntegerField(help_text="Bytes of the payload.")
    created_at = models.DateTimeField(help_text="When it was published, or the record changed.")
    published_at = models.DateTimeField(help_text="When it entered the log.", db_index=True)
    correlation_id = models.CharField(max_length=128, blank=True)
    cause = models.CharField(
        max_length=causes.MAX_LENGTH,
        blank=True,
        db_default="",
        default="",
        help_text="What it was published, or the record changed, in, such as `operation:0198…`.",
    )
    transaction_key = models.UUIDField()
    sequence_number = models.PositiveIntegerField(help_text="Place within the transaction, from 1.")
    is_gap = models.BooleanField(
        default=False, db_default=False, help_text="Whether it tells that events are missing, and which."
    )

    objects = querysets.EventLogQuerySet.as_manager()

    class Meta:
        ordering = ["replay_id"]
        verbose_name_plural = "event log entries"
        constraints = [models.UniqueConstraint(fields=["topic", "replay_id"], name="replay_id_once_a_topic")]
        # Named here, not by `db_index`: that makes a second one for prefixes, which nobody looks for.
        indexes = [
            models.Index(fields=["correlation_id"], name="event_log_correlation"),
            models.Index(fields=["transaction_key"], name="event_log_transaction"),
        ]

    def __str__(self) -> str:
        return f"{self.replay_id} {self.event_uuid}"


class ChangedRecord(models.Model):
    """Which records a kept change event is about: finds the changes of one record without reading payloads."""

    pk = models.CompositePrimaryKey("topic_id", "record_pk", "replay_id")
    topic = models.ForeignKey(Topic, on_delete=models.CASCADE, related_name="+", db_constraint=False, db_index=False)
    record_pk = models.BigIntegerField(help_text="0: every record of the object may have changed.")
    replay_id = models.BigIntegerField()

    class Meta:
        indexes = [models.Index(fields=["topic", "replay_id"], name="changed_record_of_event")]

    def __str__(self) -> str:
        return f"{self.topic_id} {self.record_pk} {self.replay_id}"


class EventUsage(models.Model):
    """How many events of a topic entered the log, or were delivered to API clients, in one hour."""

    class Measure(models.TextChoices):
        PLATFORM_EVENTS_PUBLISHED = "PLATFORM_EVENTS_PUBLISHED", "Platform events published"
        PLATFORM_EVENTS_DELIVERED = "PLATFORM_EVENTS_DELIVERED", "Platform events delivered"
        CHANGE_EVENTS_PUBLISHED = "CHANGE_EVENTS_PUBLISHED", "Change events published"
        CHANGE_EVENTS_DELIVERED = "CHANGE_EVENTS_DELIVERED", "Change events delivered"

    name = models.CharField(max_length=40, choices=Measure.choices)
    event_name = models.CharField(max_length=120)
    start_date = models.DateTimeField(help_text="Beginning of the hour.")
    end_date = models.DateTimeField()
    value = models.BigIntegerField(default=0)

    class Meta:
        ordering = ["-start_date", "name", "event_name"]
        verbose_name_plural = "event usage"
        constraints = [models.UniqueConstraint(fields=["name", "event_name", "start_date"], name="usage_once_an_hour")]

    def __str__(self) -> str:
        return f"{self.name} {self.event_name} {self.start_date:%Y-%m-%d %H:00}: {self.value}"


class SubscriptionState(models.TextChoices):
    """What a subscription does."""

    RUNNING = "running", "Running"
    PAUSED = "paused", "Paused"
    RETRYING = "retrying", "Retrying"
    STOPPED = "stopped", "Stopped"


class Subscription(models.Model):
    """How far a subscriber has handled its topic. Its effects and its cursor commit together."""

    name = models.CharField(max_length=255, unique=True)
    topic = models.ForeignKey(Topic, on_delete=models.PROTECT, related_name="subscriptions")
    cursor = models.BigIntegerField(help_text="Replay id of the last event that was handled.")
    state = models.CharField(max_length=10, choices=SubscriptionState.choices, default=SubscriptionState.RUNNING)
    last_error = models.TextField(blank=True, help_text="Why the last try failed; empty after a success.")
    failures = models.PositiveIntegerField(default=0, help_text="Tries in a row that failed.")
    next_attempt_at = models.DateTimeField(null=True, blank=True)
    last_success_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(default=clock.now)

    objects = querysets.SubscriptionQuerySet.as_manager()

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name

    @property
    def lease_name(self) -> str:
        """The lease that the bus process holds which runs this subscription."""
        return f"events.subscription.{self.pk}"


class ParkedState(models.TextChoices):
    """What became of an event that a subscriber could not handle."""

    PARKED = "parked", "Parked"
    HANDLED = "handled", "Handled"
    DISCARDED = "discarded", "Discarded"


class ParkedEvent(models.Model):
    """An event that a subscriber could not handle. It is kept here, however old, until somebody decides."""

    subscription = models.ForeignKey(Subscription, on_delete=models.CASCADE, related_name="parked_events")
    state = models.CharField(max_length=10, choices=ParkedState.choices, default=ParkedState.PARKED)
    replay_id = models.BigIntegerField()
    event_uuid = models.UUIDField(db_index=True)
    topic_name = models.CharField(max_length=150)
    schema_id = models.CharField(max_length=22, blank=True)
    payload = JsonTextField()
    created_at = models.DateTimeField(help_text="When it was published, or the record changed.")
    correlation_id = models.CharField(max_length=128, blank=True)
    transaction_key = models.UUIDField()
    sequence_number = models.PositiveIntegerField()
    error = models.TextField(help_text="Why the last try failed.")
    trace = models.TextField(blank=True, help_text="Where, in the source.")
    failures = models.PositiveIntegerField(help_text="Tries that failed.")
    parked_at = models.DateTimeField(default=clock.now)
    resolved_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-id"]
        constraints = [models.UniqueConstraint(fields=["subscription", "replay_id"], name="parked_once")]
        indexes = [models.Index(fields=["state", "-id"], name="parked_state")]

    def __str__(self) -> str:
        return f"{self.subscription} {self.replay_id}"

    def as_event(self) -> Event:
        """Return the event as the subscriber got it."""
        return Event(
            replay_id=self.replay_id,
            event_uuid=self.event_uuid,
            topic=self.topic_name,
            schema_id=self.schema_id,
            payload=self.payload,
            created_at=self.created_at,
            correlation_id=self.correlation_id,
            transaction_key=self.transaction_key,
            sequence_number=self.sequence_number,
        )
