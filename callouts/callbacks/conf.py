"""Options of callbacks: `ISTHMUS_CALLBACKS_…`."""

from isthmus.conf import Options, option

__all__ = ["CallbackOptions", "options"]


class CallbackOptions(Options, prefix="ISTHMUS_CALLBACKS_"):
    """Limits on what comes in."""

    max_body_bytes = option(
        6 * 1024 * 1024, help_text="Largest body of a callback that is taken, in bytes.", minimum=1024
    )
    unknown_kept_an_hour = option(
        100,
        help_text="Callbacks with an unknown token that the inbox keeps each hour; more are only logged, so that"
        " nobody fills the database with them.",
        minimum=0,
    )


options = CallbackOptions()
