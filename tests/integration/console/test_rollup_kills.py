"""Processes that roll up are killed for real, in the middle of it; no row is lost and none is counted twice."""

import json
import random
import signal
import threading

import pytest

from tests.engines import postgres_url
from tests.processes import migrated_instance, wait_until

pytestmark = [pytest.mark.processes, pytest.mark.timeout(400)]

KILLS = 4

# Goes back and counts again without end, so that a signal always strikes in the middle of it.
ROLL = """
from datetime import timedelta
from django.db.models import F
from isthmus.console.rollups.models import SeriesProgress
from isthmus.console.rollups import rolling
print("rolling", flush=True)
while True:
    for _ in rolling.roll_up_everything():
        pass
    SeriesProgress.objects.update(rolled_until=F("rolled_until") - timedelta(hours=9))
"""
ADD = """
import random
from datetime import timedelta
from isthmus import clock
from isthmus.jobs.models import Job
chance, now = random.Random({seed}), clock.now()
def ended():
    at = now - timedelta(hours={hours}) * chance.random()
    state = chance.choice(["Completed", "Completed", "Failed", "Aborted"])
    begun = at - timedelta(seconds=chance.random())
    return Job(function="x.y", state=state, started_at=begun, finished_at=at, attempts=1)
Job.objects.bulk_create([ended() for _ in range({number})])
"""
FINISH = """
from isthmus.console.rollups import rolling
for _ in rolling.roll_up_everything():
    pass
"""
COMPARE = """
import json
from collections import Counter
from datetime import timedelta
from isthmus.console.rollups.models import SeriesPeriod, SeriesProgress
from isthmus.console.rollups.periods import FINE, HOUR, beginning
from isthmus.jobs.models import Job
until = SeriesProgress.objects.get(series="jobs.ended").rolled_until
ended = list(Job.objects.filter(finished_at__lt=until).values_list("finished_at", "state", "started_at"))
found = {"rows": len(ended), "differ": [], "durations": 0}
for width in (FINE, HOUR):
    kept = SeriesPeriod.objects.filter(series="jobs.ended", scope="", width_seconds=width.total_seconds())
    rolled = Counter()
    for row in kept:
        rolled[row.starts_at, row.kind] += row.number
        found["durations"] += sum(row.buckets.values())
    raw = Counter((beginning(at, width), state) for at, state, _ in ended)
    found["differ"] += [str(key) for key in raw.keys() | rolled.keys() if raw[key] != rolled[key]]
print(json.dumps(found))
"""


@pytest.fixture(params=["sqlite", "postgresql"])
def instance(request, tmp_path):
    if request.param == "postgresql" and not postgres_url():
        pytest.skip("PostgreSQL does not answer; set ISTHMUS_TEST_POSTGRES_URL.")
    with migrated_instance(request.param, tmp_path, postgres=postgres_url()) as started:
        yield started


def test_figures_are_those_of_the_rows_after_random_kills(instance):
    chance, pause = random.Random(5), threading.Event()
    instance.python(ADD.format(seed=1, hours=20, number=3_000))
    for number in range(KILLS):
        rolling = instance.start("shell", "--no-imports", "--verbosity", "0", "--command", ROLL)
        wait_until(lambda started=rolling: "rolling" in started.output, "the roll-up has begun", timeout_seconds=120)
        pause.wait(chance.uniform(0.05, 1.5))
        instance.python(ADD.format(seed=number + 2, hours=0.15, number=50))
        pause.wait(chance.uniform(0, 0.4))
        assert rolling.is_running, rolling.output
        rolling.kill(signal.SIGKILL)
        rolling.wait(10)
    instance.python(FINISH)
    # What came after the mark is looked for once more, as the next roll-up would.
    instance.python(
        "from datetime import timedelta\n"
        "from django.db.models import F\n"
        "from isthmus.console.rollups.models import SeriesProgress\n"
        'SeriesProgress.objects.update(rolled_until=F("rolled_until") - timedelta(minutes=5))' + FINISH
    )
    found = json.loads(instance.python(COMPARE))
    assert found["rows"] >= 3_000
    assert found["differ"] == []
    assert found["durations"] == 2 * found["rows"]
