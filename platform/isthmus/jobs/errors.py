"""What background operations refuse, and how they end.

JobError
├── JobRefused            the caller is at fault: nothing was written
│   ├── ArgumentsRefused
│   ├── UnknownFunction
│   ├── JobInsideTransaction
│   ├── NoCurrentJob
│   ├── JobNotAbortable
│   ├── JobNotRetryable
│   ├── ScheduleRunning
│   └── BatchSourceRefused
└── JobStopped            the running function is told to end
    ├── EveryItemFailed
    ├── JobAborted
    ├── LeaseLost
    ├── ResultNotJson
    └── TimeLimitExceeded
"""

from isthmus.errors import IsthmusError

__all__ = [
    "ArgumentsRefused",
    "BatchSourceRefused",
    "EveryItemFailed",
    "JobAborted",
    "JobError",
    "JobInsideTransaction",
    "JobNotAbortable",
    "JobNotRetryable",
    "JobRefused",
    "JobStopped",
    "LeaseLost",
    "NoCurrentJob",
    "ResultNotJson",
    "ScheduleRunning",
    "TimeLimitExceeded",
    "UnknownFunction",
]


class JobError(IsthmusError):
    """A background operation could not do what was asked."""

    code = "JOB_ERROR"


class JobRefused(JobError):
    """The background operation was refused."""

    status = 400


class ArgumentsRefused(JobRefused):
    """The arguments do not fit the function, or are not plain JSON."""

    code = "JOB_ARGUMENTS_REFUSED"


class UnknownFunction(JobRefused):
    """No function of this name is declared with @queueable."""

    code = "JOB_FUNCTION_UNKNOWN"


class JobInsideTransaction(JobRefused):
    """A job cannot run inside an open transaction: its row is not committed yet. Run it after the commit."""

    code = "JOB_INSIDE_TRANSACTION"


class NoCurrentJob(JobRefused):
    """No background operation runs here. Call the function through `enqueue`."""

    code = "JOB_NOT_RUNNING"


class JobNotAbortable(JobRefused):
    """The operation has ended already, so it cannot be aborted."""

    code = "JOB_NOT_ABORTABLE"
    status = 409


class JobNotRetryable(JobRefused):
    """Only a failed or aborted operation can be tried again."""

    code = "JOB_NOT_RETRYABLE"
    status = 409


class ScheduleRunning(JobRefused):
    """A run of this schedule is under way; the next one can be started when it has ended."""

    code = "JOB_SCHEDULE_RUNNING"
    status = 409


class BatchSourceRefused(JobRefused):
    """What the batch's start() returned cannot be gone through in chunks."""

    code = "JOB_BATCH_SOURCE_REFUSED"


class JobStopped(JobError):
    """The running operation must end."""


class EveryItemFailed(JobStopped):
    """Every item of the batch failed."""

    code = "JOB_EVERY_ITEM_FAILED"


class JobAborted(JobStopped):
    """The operation was aborted while it ran."""

    code = "JOB_ABORTED"


class LeaseLost(JobStopped):
    """The lease passed to somebody else; what this holder still does no longer counts."""

    code = "LEASE_LOST"
    retryable = True


class ResultNotJson(JobStopped):
    """The function returned something that is not plain JSON."""

    code = "JOB_RESULT_NOT_JSON"


class TimeLimitExceeded(JobStopped):
    """The operation ran longer than its time limit."""

    code = "JOB_TIME_LIMIT"
    retryable = True
