"""The options of callouts. Salesforce's numbers are the defaults
(https://developer.salesforce.com/docs/atlas.en-us.apexcode.meta/apexcode/apex_callouts_timeouts.htm)."""

from pathlib import Path

from isthmus.conf import Options, option

__all__ = ["CalloutOptions", "options"]

MEBIBYTE = 1024 * 1024


def _must_be_a_file(path: str) -> str | None:
    return None if not path or Path(path).is_file() else f"there is no file {path!r}."


def _must_be_a_proxy(url: str) -> str | None:
    from callouts.egress.proxies import what_is_wrong_with_proxy

    return what_is_wrong_with_proxy(url)


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
    proxy = option(
        "",
        help_text="HTTP proxy through which callouts leave (http://user:password@host:port); empty: directly.",
        validate=_must_be_a_proxy,
    )
    no_proxy = option("", help_text="Hosts and domains that are reached without the proxy, separated by commas.")
    async_threads = option(
        32, help_text="Callouts of async code that may be under way at a time in one process.", minimum=1, maximum=1_000
    )
    log_body_bytes = option(
        64 * 1024, help_text="How much of each body the integration log keeps.", minimum=0, maximum=MEBIBYTE
    )
    keep_succeeded_days = option(30, help_text="How long the log keeps exchanges that succeeded.", minimum=1)
    keep_failed_days = option(90, help_text="How long the log keeps exchanges that failed.", minimum=1)
    keep_refused_days = option(30, help_text="How long the log keeps callouts that were refused.", minimum=1)
    keep_in_doubt_days = option(
        90, help_text="How long the log keeps exchanges in doubt, counted from when a person resolved them.", minimum=1
    )
    destination_seconds = option(
        1.0,
        help_text="For how long a process remembers a destination's circuit breaker before it looks again.",
        minimum=0.0,
        maximum=60.0,
    )


options = CalloutOptions()
