"""The app's options."""

from isthmus.conf import Options, option

__all__ = ["RecordsOptions", "options"]


class RecordsOptions(Options, prefix="ISTHMUS_RECORDS_"):
    """Limits on queries, and how long their further pages can be had."""

    query_seconds = option(120.0, help_text="How long the database may work at a query.", minimum=0.001, maximum=3_600)
    cursor_seconds = option(
        3_600,
        help_text="How long the next page of a query can be had after the last one.",
        minimum=60,
        maximum=7 * 86_400,
    )
    cursors_per_user = option(
        50, help_text="Queries of one user with pages yet to come; the oldest go first.", minimum=1, maximum=10_000
    )


options = RecordsOptions()
