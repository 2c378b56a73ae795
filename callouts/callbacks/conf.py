"""Options of callbacks: `ISTHMUS_CALLBACKS_…`."""

from isthmus.conf import Options, option

__all__ = ["CallbackOptions", "options"]


class CallbackOptions(Options, prefix="ISTHMUS_CALLBACKS_"):
    """Limits on what comes in."""

    max_body_bytes = option(
        6 * 1024 * 1024, help_text="Largest body of a callback that is taken, in bytes.", minimum=1024
    )
    intake_batch = option(
        100, help_text="Callbacks that a web process accepts in one transaction, at most.", minimum=1, maximum=1000
    )
    intake_waiting = option(
        10_000,
        help_text="Callbacks that may wait in a web process; beyond that the outside is told to come again.",
        minimum=1,
    )
    adopt_after_seconds = option(
        30.0,
        help_text="After how long an accepted callback whose handler has not run is taken over from a process that must"
        " have died.",
        minimum=0,
    )
    unknown_kept_an_hour = option(
        100,
        help_text="Callbacks with an unknown token that the inbox keeps each hour; more are only logged, so that"
        " nobody fills the database with them.",
        minimum=0,
    )


options = CallbackOptions()
