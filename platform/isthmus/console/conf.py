"""The console's options."""

from isthmus.conf import Options, option

__all__ = ["ConsoleOptions", "options"]


class ConsoleOptions(Options, prefix="ISTHMUS_CONSOLE_"):
    """Options of the web pages."""

    metrics_token = option(
        "", help_text="When set, `/metrics` asks for the header `Authorization: Bearer <this text>`; empty: open."
    )
    refresh_seconds = option(
        2,
        help_text="How often a process looks for changes that open pages show, at most, in seconds; "
        "a page without a stream reads itself again as often.",
        minimum=1,
        maximum=3600,
    )
    live_streams = option(
        500, help_text="Live streams that one web process keeps open at most; 0: pages ask instead.", minimum=0
    )
    live_heartbeat_seconds = option(
        15,
        help_text="How often a live stream gives a sign of life and looks whether its session still holds, in seconds.",
        minimum=1,
        maximum=300,
    )
    chart_seconds = option(
        10.0,
        help_text="How long a process remembers what it read for a chart, however many pages show it; 0: not at all.",
        minimum=0,
        maximum=300,
    )
    fine_days = option(
        3, help_text="How long figures of five minutes are kept, in days; charts of 24 hours use them.", minimum=3
    )
    hours_days = option(90, help_text="How long figures of hours are kept, in days.", minimum=8)


options = ConsoleOptions()
