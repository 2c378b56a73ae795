"""Numbers that are handed out in commit order: whoever draws one holds the series until its transaction ends."""

from events.models import NumberSeries

__all__ = ["COMMIT_SERIES", "REPLAY_SERIES", "advance", "lock"]

COMMIT_SERIES = "commit"
REPLAY_SERIES = "replay"


def lock(name: str) -> int:
    """Wait until no other transaction holds the series, hold it, and return the last number. Needs a transaction.

    Read what depends on the order of holders only after this: with READ COMMITTED a statement that starts now sees
    what the holder before us has committed. (SQLite has one writer at a time; its transaction holds everything.)
    """
    series = NumberSeries.objects.select_for_update().filter(name=name).first()
    if series is None:
        NumberSeries.objects.bulk_create([NumberSeries(name=name)], ignore_conflicts=True)
        series = NumberSeries.objects.select_for_update().get(name=name)
    return series.last_number


def advance(name: str, last_number: int) -> None:
    """Store the last number that was handed out. The caller holds the series."""
    NumberSeries.objects.filter(name=name).update(last_number=last_number)
