"""What the console refuses.

ConsoleError
├── LiveRefused
│   ├── LiveStreamsExhausted
│   └── UnknownLiveSource
├── FilterRefused
├── ListingUnknown
└── BulkRefused
    ├── BulkActUnknown
    ├── BulkChanged
    └── BulkOvertaken
"""

from isthmus.errors import IsthmusError

__all__ = [
    "BulkActUnknown",
    "BulkChanged",
    "BulkOvertaken",
    "BulkRefused",
    "ConsoleError",
    "FilterRefused",
    "ListingUnknown",
    "LiveRefused",
    "LiveStreamsExhausted",
    "UnknownLiveSource",
]


class ConsoleError(IsthmusError):
    """The console could not do what was asked."""

    code = "CONSOLE_ERROR"
    status = 400


class LiveRefused(ConsoleError):
    """The live stream was refused."""

    code = "LIVE_REFUSED"


class LiveStreamsExhausted(LiveRefused):
    """This process has as many live streams open as it may. The page asks again from time to time instead."""

    code = "LIVE_STREAMS_EXHAUSTED"
    status = 503
    retryable = True


class UnknownLiveSource(LiveRefused):
    """Nothing of this name tells of its changes."""

    code = "LIVE_SOURCE_UNKNOWN"


class FilterRefused(ConsoleError):
    """A filter has a value that it cannot have, or there is no filter of that name."""

    code = "FILTER_REFUSED"


class ListingUnknown(ConsoleError):
    """There is no list of this name."""

    code = "LISTING_UNKNOWN"
    status = 404


class BulkRefused(ConsoleError):
    """The bulk action was refused: nothing was done."""

    code = "BULK_REFUSED"


class BulkActUnknown(BulkRefused):
    """This list has no bulk action of that name."""

    code = "BULK_ACT_UNKNOWN"
    status = 404


class BulkChanged(BulkRefused):
    """By now more rows match than were shown. Look again."""

    code = "BULK_CHANGED"
    status = 409


class BulkOvertaken(BulkRefused):
    """Somebody else goes on with the bulk action; what this one did last does not count."""

    code = "BULK_OVERTAKEN"
    status = 409
    retryable = True
