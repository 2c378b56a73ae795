"""Options of external services: `ISTHMUS_EXTERNAL_SERVICES_…`."""

from isthmus.conf import Options, option

__all__ = ["ExternalServicesOptions", "options"]


class ExternalServicesOptions(Options, prefix="ISTHMUS_EXTERNAL_SERVICES_"):
    """Limits on documents and on the wait for callbacks."""

    document_max_bytes = option(
        100 * 1024 * 1024, help_text="Largest document that is read, in bytes.", minimum=1024, maximum=1024**3
    )
    document_max_depth = option(200, help_text="Deepest nesting of a document, in levels.", minimum=10, maximum=400)
    document_max_nodes = option(
        20_000_000, help_text="Most values in a document, each use of a YAML alias counted.", minimum=1000
    )
    document_max_seconds = option(
        10.0, help_text="Longest time to read and analyse a document, in seconds.", minimum=0.1, maximum=600
    )
    cached_pages = option(
        256,
        help_text="Pages of documents, of about 48 KiB, that a process keeps parsed.",
        minimum=8,
        maximum=100_000,
    )
    cached_validators = option(4_096, help_text="Compiled schemas that a process keeps.", minimum=16, maximum=1_000_000)
    callback_timeout_seconds = option(
        86_400, help_text="How long a callback is waited for when the caller does not say, in seconds.", minimum=1
    )
    keep_ended_days = option(90, help_text="How long invocations that ended are kept, with their callbacks.", minimum=1)


options = ExternalServicesOptions()
