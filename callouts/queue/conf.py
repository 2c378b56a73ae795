"""The options of queued callouts."""

from isthmus.conf import Options, option

__all__ = ["QueueOptions", "options"]


class QueueOptions(Options, prefix="ISTHMUS_CALLOUT_QUEUE_"):
    """How workers send what was enqueued."""

    threads = option(16, help_text="Queued callouts that one worker has under way at a time.", minimum=1, maximum=256)
    poll_seconds = option(0.25, help_text="How often an idle worker looks for callouts that are due.", minimum=0.01)
    lease_margin_seconds = option(
        30.0,
        help_text="How much longer than its time limit a worker may hold a callout before others take it for dead.",
        minimum=1.0,
    )
    held_trial_seconds = option(
        900.0,
        help_text="How often one of the callouts that wait for a mended credential tries whether it is.",
        minimum=1.0,
    )
    max_worker_deaths = option(
        5, help_text="How often its worker may die before sending, until the callout counts as failed.", minimum=1
    )
    keep_ended_days = option(
        30, help_text="How long ended callouts stay; failed, stopped and doubtful ones stay until decided.", minimum=1
    )


options = QueueOptions()
