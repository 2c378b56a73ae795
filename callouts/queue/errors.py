"""What cannot be done with a queued callout."""

from isthmus.errors import IsthmusError

__all__ = ["BatchRefused", "QueueRefused"]


class QueueRefused(IsthmusError):
    """The queued callout is not in a state for that."""

    code = "QUEUED_CALLOUT_REFUSED"
    status = 409


class BatchRefused(IsthmusError):
    """The batch cannot be made or is not in a state for that."""

    code = "CALLOUT_BATCH_REFUSED"
    status = 409
