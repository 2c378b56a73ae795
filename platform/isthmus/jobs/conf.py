"""Options of background operations."""

from isthmus.conf import Options, option

__all__ = ["JobOptions", "limits_of_kinds", "options"]


def _parsed_limits(text: str) -> dict[str, int]:
    pairs = (each.partition("=") for each in text.split(",") if each.strip())
    return {kind.strip(): int(limit) for kind, _, limit in pairs}


def _misread_limits(text: str) -> str | None:
    try:
        limits = _parsed_limits(text)
    except ValueError:
        limits = {"": 0}
    if all(kind and limit > 0 for kind, limit in limits.items()):
        return None
    return "must be kinds and whole numbers above 0, such as `Batch=2, Callback=4`"


class JobOptions(Options, prefix="ISTHMUS_JOBS_"):
    """Read them through `options`."""

    lease_seconds = option(10.0, help_text="How long a running job stays with a worker that is silent.", minimum=1)
    heartbeat_seconds = option(2.0, help_text="How often a worker renews the lease of the job it runs.", minimum=0.1)
    overrun_seconds = option(5.0, help_text="How long a job may take to end after its time limit.", minimum=0)
    sweep_seconds = option(0.5, help_text="How often a worker looks for due, lost and orphaned jobs.", minimum=0.05)
    poll_seconds = option(0.5, help_text="How often an idle worker looks for ready jobs unasked.", minimum=0.05)
    taken_at_once = option(50, help_text="How many very short jobs a worker takes in one statement.", minimum=1)
    kind_concurrency = option(
        "",
        help_text="How many operations of a kind run at a time, for each kind that has a limit: `Batch=2, Callback=4`.",
        validate=_misread_limits,
    )
    stop_grace_seconds = option(7.0, help_text="How long a stopping worker lets running jobs end.", minimum=0)
    inline_wait_seconds = option(10.0, help_text="How long an inline run waits for another holder.", minimum=0)
    argument_bytes = option(1_000_000, help_text="Largest arguments or result, as JSON.", minimum=1_000)
    log_lines = option(1_000, help_text="Log lines kept for each attempt of a job.", minimum=0)
    retention_days = option(30, help_text="How long ended jobs are kept.", minimum=1)
    missed_seconds = option(60.0, help_text="A schedule's run later than that was missed.", minimum=1)
    batch_traces = option(100, help_text="Failed chunks of a batch whose trace is kept.", minimum=0)
    admin_history_days = option(400, help_text="How long the set-up pages keep who changed what.", minimum=1)
    silent_seconds = option(30.0, help_text="A worker that is silent for longer counts as gone.", minimum=1)
    waiting_seconds = option(300.0, help_text="A due job that waits longer makes the queue unwell.", minimum=1)


options = JobOptions()


def limits_of_kinds() -> dict[str, int]:
    """Return how many operations of a kind may run at a time, for each kind that has a limit."""
    return _parsed_limits(options.kind_concurrency)
