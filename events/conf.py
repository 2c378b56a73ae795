"""The app's options."""

from isthmus.conf import Options, option

__all__ = ["EventOptions", "options"]


class EventOptions(Options, prefix="ISTHMUS_EVENTS_"):
    """Numbers are Salesforce's where it names one."""

    max_event_bytes = option(
        1_048_576, help_text="Largest payload of one event, in bytes of JSON.", minimum=1_024, maximum=16_777_216
    )
    max_changes_per_transaction = option(
        100_000,
        help_text="Changes of one transaction that are reported singly; more become one overflow event per object.",
        minimum=1,
    )
    max_merged_records = option(
        1_000, help_text="Records that one change event names at most when all of them changed alike.", minimum=1
    )
    retention_hours = option(72, help_text="Hours for which published events can be read again.", minimum=1)
    hourly_publish_allocation = option(
        250_000, help_text="Platform events that may be published in an hour (UTC); 0 for no limit.", minimum=0
    )
    daily_publish_allocation = option(
        0, help_text="Platform events that may be published in a day (UTC); 0 for no limit.", minimum=0
    )
    trim_batch_size = option(1_000, help_text="Expired events removed in one transaction.", minimum=1, maximum=50_000)
    trim_interval_seconds = option(30.0, help_text="Seconds between two looks for expired events.", minimum=0.1)
    check_interval_seconds = option(
        5.0, help_text="Seconds between two checks that the log holds every event that entered it.", minimum=0.1
    )
    relay_batch_size = option(
        10_000, help_text="Committed rows that the relay moves in one transaction.", minimum=1, maximum=50_000
    )
    relay_lease_seconds = option(
        3.0, help_text="Seconds after which another bus takes the relay over from one that died.", minimum=1
    )
    poll_milliseconds = option(
        500,
        help_text="Milliseconds between two looks for new work when nobody woke the bus meanwhile.",
        minimum=5,
        maximum=1_000,
    )
    subscriber_threads = option(
        8, help_text="Subscriptions that one bus process runs at the same time.", minimum=1, maximum=64
    )
    subscriber_lease_seconds = option(
        6.0, help_text="Seconds after which another bus takes a subscription over from one that died.", minimum=1
    )
    retry_first_seconds = option(
        1.0, help_text="Delay after a subscriber's first failure; it doubles with every further one.", minimum=0
    )
    retry_longest_seconds = option(300.0, help_text="Longest delay between two tries of a subscriber.", minimum=0)
    retryable_retries = option(
        9, help_text="Tries after a subscriber's first one that ended with `Retryable`.", minimum=0
    )
    failure_retries = option(
        3, help_text="Tries after a subscriber's first failure before the poisonous events are looked for.", minimum=0
    )
    parked_at_once = option(
        20,
        help_text="Events of one call that may be parked; if more fail, they can hardly be the reason.",
        minimum=1,
    )
    stop_grace_seconds = option(
        10.0, help_text="Seconds that running subscribers get to finish when the bus is told to stop.", minimum=0
    )
    nats_timeout_seconds = option(
        5.0, help_text="Seconds within which NATS has to answer, where it keeps the event log.", minimum=0.1
    )
    keep_decided_days = option(
        30, help_text="How long parked events are kept that were handled or given up.", minimum=1
    )
    usage_keep_days = option(400, help_text="How long it is kept how many events there were, by hour.", minimum=2)
    heartbeat_seconds = option(2.0, help_text="Seconds between two signs of life of the bus.", minimum=0.1)
    silent_seconds = option(
        15.0, help_text="Seconds without a sign of life after which the bus counts as gone.", minimum=1
    )
    relay_alarm_seconds = option(
        30.0, help_text="Age of the oldest event not yet relayed from which on the relay counts as unwell.", minimum=1
    )


options = EventOptions()
