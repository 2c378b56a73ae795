"""The app's options."""

from isthmus.conf import Options, option

__all__ = ["CredentialsOptions", "options"]


class CredentialsOptions(Options, prefix="ISTHMUS_CREDENTIALS_"):
    token_refresh_ahead_seconds = option(
        60, help_text="How long before its end an access token is replaced, in seconds.", minimum=0, maximum=3_600
    )
    token_default_lifetime_seconds = option(
        300, help_text="How long an access token is used that came without `expires_in`, in seconds.", minimum=1
    )
    token_refresh_lease_seconds = option(
        30,
        help_text="How long one process may take to fetch an access token before another one tries, in seconds.",
        minimum=1,
        maximum=600,
    )
    token_wait_seconds = option(
        30, help_text="How long a callout waits for another one that fetches its access token.", minimum=0, maximum=600
    )
    token_retry_delay_seconds = option(
        5,
        help_text="After a failed attempt to replace a token that still works, how long no other is made, in seconds.",
        minimum=0,
        maximum=3_600,
    )
    last_used_resolution_seconds = option(
        60, help_text="How exact `last used` of a secret is, in seconds: at most one write in that time.", minimum=0
    )
    authorization_seconds = option(
        600,
        help_text="How long a person may take on an identity provider's page of consent.",
        minimum=30,
        maximum=3_600,
    )
    discovery_seconds = option(
        86_400, help_text="How long what an identity provider says of itself is taken as known.", minimum=60
    )
    resolution_seconds = option(
        1.0,
        help_text="How long one process may go on with what it has read about a credential: so long a change or a "
        "withdrawn grant may take to be felt.",
        minimum=0,
        maximum=60,
    )
    certificate_warning_days = option(
        30, help_text="How many days before its end a certificate is warned of.", minimum=1, maximum=365
    )


options = CredentialsOptions()
