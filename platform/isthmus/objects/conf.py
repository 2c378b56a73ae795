"""The app's options."""

from isthmus.conf import Options, option

__all__ = ["ObjectsOptions", "options"]


class ObjectsOptions(Options, prefix="ISTHMUS_OBJECTS_"):
    """What can be chosen about records."""

    sharing_seconds = option(
        1.0,
        help_text="How long a process remembers how objects are shared; a change takes effect within it.",
        minimum=0,
        maximum=60,
    )

    max_blob_bytes = option(
        37_500_000,
        help_text="The largest blob that a field takes; requests have a limit of their own.",
        minimum=1,
    )
    organization_name = option("Isthmus", help_text="The name of the organisation, as clients read it.")


options = ObjectsOptions()
