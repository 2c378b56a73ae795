"""The app's options."""

from isthmus.conf import Options, option

__all__ = ["ApexRestOptions", "options"]


class ApexRestOptions(Options, prefix="ISTHMUS_APEXREST_"):
    """Limits on what endpoints take."""

    max_body_bytes = option(6 * 1024 * 1024, help_text="Size of a request body.", minimum=1)
    max_depth = option(
        50, help_text="How deep objects and arrays of a request body may be nested.", minimum=1, maximum=200
    )


options = ApexRestOptions()
