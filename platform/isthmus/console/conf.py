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


options = ConsoleOptions()
