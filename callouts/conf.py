"""The options of callouts. Salesforce's numbers are the defaults
(https://developer.salesforce.com/docs/atlas.en-us.apexcode.meta/apexcode/apex_callouts_timeouts.htm)."""

from pathlib import Path

from isthmus.conf import Options, option

__all__ = ["CalloutOptions", "options"]

MEBIBYTE = 1024 * 1024


def _must_be_a_file(path: str) -> str | None:
    return None if not path or Path(path).is_file() else f"there is no file {path!r}."


class CalloutOptions(Options, prefix="ISTHMUS_CALLOUTS_"):
    """Limits on what leaves and on what comes back."""

    timeout_seconds = option(
        10.0,
        help_text="Time for one whole callout, name look-up to last byte, when the call names none.",
        minimum=0.001,
    )
    max_timeout_seconds = option(120.0, help_text="The longest time limit that a call may name.", minimum=0.001)
    connect_timeout_seconds = option(5.0, help_text="Time for one connection attempt.", minimum=0.001)
    max_callouts = option(100, help_text="Callouts in one transaction (web request or job run).", minimum=1)
    max_cumulative_seconds = option(
        120.0, help_text="Time that all callouts of one transaction may take together.", minimum=0.001
    )
    max_body_bytes = option(6 * MEBIBYTE, help_text="Size of a request or (decompressed) answer.", minimum=1024)
    max_body_bytes_in_jobs = option(12 * MEBIBYTE, help_text="The same limit inside a job.", minimum=1024)
    max_redirects = option(5, help_text="Redirects that one callout follows within its origin.", minimum=0, maximum=20)
    idle_connection_seconds = option(
        4.0, help_text="How long a connection waits for its next use; shorter than servers wait.", minimum=0.0
    )
    ca_bundle = option(
        "",
        help_text="File with the certificate authorities to trust (PEM); empty: the ones that come with certifi.",
        validate=_must_be_a_file,
    )
    log_body_bytes = option(
        64 * 1024, help_text="How much of each body the integration log keeps.", minimum=0, maximum=MEBIBYTE
    )


options = CalloutOptions()
