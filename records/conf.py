"""The app's options."""

from isthmus.conf import Options, option

__all__ = ["RecordsOptions", "options"]


class RecordsOptions(Options, prefix="ISTHMUS_RECORDS_"):
    """Limits on requests and queries, and how long further pages can be had."""

    max_body_bytes = option(6 * 1024 * 1024, help_text="Size of a request body.", minimum=1)
    threads = option(
        8,
        help_text="Threads of a web process that answer the record API, each with a database connection.",
        minimum=1,
        maximum=128,
    )
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
