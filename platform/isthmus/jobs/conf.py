"""Options of background operations."""

from isthmus.conf import Options, option

__all__ = ["JobOptions", "options"]


class JobOptions(Options, prefix="ISTHMUS_JOBS_"):
    """Read them through `options`."""

    lease_seconds = option(10.0, help_text="How long a running job stays with a worker that is silent.", minimum=1)
    heartbeat_seconds = option(2.0, help_text="How often a worker renews the lease of the job it runs.", minimum=0.1)
    overrun_seconds = option(5.0, help_text="How long a job may take to end after its time limit.", minimum=0)
    sweep_seconds = option(0.5, help_text="How often a worker looks for due, lost and orphaned jobs.", minimum=0.05)
    ring_again_seconds = option(3.0, help_text="How old a wake-up must be before it counts as lost.", minimum=0.1)
    rings_waiting = option(100, help_text="Lost wake-ups are repeated while fewer than these wait.", minimum=1)
    stop_grace_seconds = option(7.0, help_text="How long a stopping worker lets running jobs end.", minimum=0)
    inline_wait_seconds = option(10.0, help_text="How long an inline run waits for another holder.", minimum=0)
    argument_bytes = option(1_000_000, help_text="Largest arguments or result, as JSON.", minimum=1_000)
    log_lines = option(1_000, help_text="Log lines kept for each attempt of a job.", minimum=0)
    retention_days = option(30, help_text="How long ended jobs are kept.", minimum=1)
    admin_history_days = option(400, help_text="How long the set-up pages keep who changed what.", minimum=1)
    silent_seconds = option(30.0, help_text="A worker that is silent for longer counts as gone.", minimum=1)
    waiting_seconds = option(300.0, help_text="A due job that waits longer makes the queue unwell.", minimum=1)


options = JobOptions()
