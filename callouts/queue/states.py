"""The states of a queued callout."""

from django.db import models

__all__ = ["AWAITS_DECISION", "BLOCKS_ORDER", "ENDED", "NOT_ENDED", "QueueState"]


class QueueState(models.TextChoices):
    """Where a queued callout is."""

    WAITING = "waiting", "Waiting"
    SENDING = "sending", "Sending"
    HELD = "held", "Held"
    SUCCEEDED = "succeeded", "Succeeded"
    FAILED = "failed", "Failed"
    STOPPED = "stopped", "Stopped"
    IN_DOUBT = "in_doubt", "In doubt"
    CANCELLED = "cancelled", "Cancelled"
    DRY_RUN = "dry_run", "Dry run"


NOT_ENDED = (QueueState.WAITING, QueueState.SENDING, QueueState.HELD)
AWAITS_DECISION = (QueueState.FAILED, QueueState.STOPPED, QueueState.IN_DOUBT)
"""Dead letters: nothing moves them but a person."""
ENDED = (QueueState.SUCCEEDED, QueueState.CANCELLED, QueueState.DRY_RUN)
BLOCKS_ORDER = (*NOT_ENDED, QueueState.IN_DOUBT)
"""What later callouts of the same order wait for. One that failed or was stopped lets them pass."""
