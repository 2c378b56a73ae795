"""The console's options."""

from isthmus.conf import Options, option

__all__ = ["ConsoleOptions", "options"]


class ConsoleOptions(Options, prefix="ISTHMUS_CONSOLE_"):
    """Options of the web pages."""

    metrics_token = option(
        "", help_text="When set, `/metrics` asks for the header `Authorization: Bearer <this text>`; empty: open."
    )
    refresh_seconds = option(
        2, help_text="How often live parts of a page are read again, in seconds.", minimum=1, maximum=3600
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
