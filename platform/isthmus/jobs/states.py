"""The states of a background operation, named as Salesforce names those of an asynchronous job."""

from django.db import models

__all__ = ["NON_TERMINAL", "RUNNING", "TERMINAL", "JobState"]


class JobState(models.TextChoices):
    """Where a job stands. A terminal state stays, unless an operator asks for a retry."""

    HOLDING = "Holding"
    """Waits for the job before it in the chain."""
    QUEUED = "Queued"
    """Waits for its time and a worker."""
    PREPARING = "Preparing"
    """Taken by a worker; its function has not been entered."""
    PROCESSING = "Processing"
    COMPLETED = "Completed"
    FAILED = "Failed"
    ABORTED = "Aborted"


TERMINAL = (JobState.COMPLETED, JobState.FAILED, JobState.ABORTED)
RUNNING = (JobState.PREPARING, JobState.PROCESSING)
NON_TERMINAL = (JobState.HOLDING, JobState.QUEUED, *RUNNING)
