"""The app's options."""

from isthmus.conf import Options, option

__all__ = ["ApexRestOptions", "options"]


class ApexRestOptions(Options, prefix="ISTHMUS_APEXREST_"):
    """Limits on what endpoints take, and how long what they did is remembered."""

    max_body_bytes = option(6 * 1024 * 1024, help_text="Size of a request body.", minimum=1)
    max_depth = option(
        50, help_text="How deep objects and arrays of a request body may be nested.", minimum=1, maximum=200
    )
    max_seconds = option(
        120.0, help_text="How long a method may take before everything it did is undone.", minimum=0.001, maximum=3_600
    )
    idempotency_hours = option(
        24, help_text="How long the answer to a request with an Idempotency-Key is kept.", minimum=1, maximum=8_760
    )
    webhook_hours = option(
        96, help_text="How long a webhook delivery is remembered, so that it is handled once.", minimum=1, maximum=8_760
    )
    threads = option(
        4,
        help_text="Threads of a web process that answer endpoints, each with a database connection.",
        minimum=1,
        maximum=128,
    )
    limits_seconds = option(
        1.0, help_text="How long a process remembers the limits that operators set.", minimum=0, maximum=60
    )
    public_documentation = option(False, help_text="Whether anybody may read the API documentation without signing in.")
    webhook_tolerance_seconds = option(
        300, help_text="How far the time of a signed webhook delivery may be from now.", minimum=1, maximum=86_400
    )


options = ApexRestOptions()
