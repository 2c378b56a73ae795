"""Sends queued callouts inside a test: no worker, no waiting.

def test_the_warehouse_learns_of_an_order(db, callout_mock, callout_queue):
    callout_mock.post("callout:Warehouse/orders", status=201)
    accept(order)
    [sent] = callout_queue.run_all()
    assert sent.state == "succeeded"
"""

from datetime import timedelta

import pytest

from callouts.queue import claiming, reaping, sending
from callouts.queue.models import QueuedCallout
from callouts.queue.states import QueueState
from isthmus import clock

__all__ = ["CalloutQueue", "callout_queue", "run_all"]

_MOST_RUNS = 10_000
_HOLDER = "test"


def run_all(*, ignore_delays: bool = False) -> list[QueuedCallout]:
    """Send every due callout in this process until none is due; return them as they ended, in the order of sending.

    One that waits for its next attempt is due when the clock has moved, or with `ignore_delays`. They leave under the
    same claims, limits and state changes as in a worker. Raises `RuntimeError` if they never end.
    """
    sent: dict[int, None] = {}
    for _ in range(_MOST_RUNS):
        reaping.reap()
        reaping.offer_trials()
        if ignore_delays:
            _make_due()
        taken = claiming.claim(holder=_HOLDER, at_most=1, busy={}, share=1)
        if not taken:
            found = QueuedCallout.objects.in_bulk(list(sent))
            return [found[pk] for pk in sent]
        sending.send(taken[0])
        sent[taken[0].pk] = None
    raise RuntimeError(f"After {_MOST_RUNS} attempts callouts are still due.")


def _make_due() -> None:
    later = QueuedCallout.objects.filter(state=QueueState.WAITING, due_at__gt=clock.now())
    later.update(due_at=clock.now() - timedelta(microseconds=1))


class CalloutQueue:
    """What the fixture `callout_queue` gives."""

    def run_all(self, *, ignore_delays: bool = False) -> list[QueuedCallout]:
        """See `run_all`."""
        return run_all(ignore_delays=ignore_delays)

    def waiting(self) -> list[QueuedCallout]:
        """Return what has not ended, in the order of asking."""
        return list(QueuedCallout.objects.not_ended().order_by("pk"))


@pytest.fixture
def callout_queue() -> CalloutQueue:
    """Sends queued callouts in the test's process."""
    return CalloutQueue()
