"""The check of a history finds what it is there to find."""

import pytest

from events.crash_matrix.history import History, Told, violations

STEPS = [Told(1, 1, "a"), Told(2, 1, "b"), Told(1, 2, "c")]
CHANGES = [Told(1, 1, "x"), Told(2, 1, "x"), Told(1, 2, "y")]


def history(**given):
    sound = {
        "steps": STEPS,
        "events": STEPS,
        "changes": CHANGES,
        "step_effects": STEPS,
        "change_effects": CHANGES,
        "items": {1: 2, 2: 1, 3: 0},
        "accepted_alarms": {"p"},
        "tried_alarms": {"p", "q"},
        "alarms": ["p"],
    }
    return History(**{**sound, **given})


@pytest.mark.parametrize("given", [{}, {"alarms": ["q", "p"]}, {"events": [STEPS[1], STEPS[0], STEPS[2]]}])
def test_a_history_in_which_the_bus_kept_its_word(given):
    assert violations(history(**given)) == []


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ({"events": STEPS[:2]}, "The log lost 1 events: c."),
        ({"events": [*STEPS, Told(3, 1, "z")]}, "The log has 1 events that were rolled back: z."),
        ({"events": [*STEPS, STEPS[2]]}, "The log has 1 events more than once: c."),
        ({"events": [STEPS[2], STEPS[0], STEPS[1]]}, "The log's events: step 1 of item 1 comes after step 2."),
        ({"changes": CHANGES[1:]}, "The log's changes: 1 steps are lost: (1, 1)."),
        ({"changes": [*CHANGES, Told(1, 3, "w")]}, "The log's changes: 1 steps were rolled back: (1, 3)."),
        ({"changes": [*CHANGES, Told(1, 2, "w")]}, "The log's changes: 1 steps come more than once: (1, 2)."),
        ({"step_effects": STEPS[1:]}, "The subscriber of events lost 1 events: a."),
        ({"step_effects": [*STEPS, STEPS[2]]}, "The subscriber of events has 1 events more than once: c."),
        (
            {"change_effects": [CHANGES[2], *CHANGES[:2]]},
            "The subscriber of changes: step 1 of item 1 comes after step 2.",
        ),
        ({"items": {1: 3, 2: 1}}, "Item 1 has reached 3, and its committed steps are 1, 2."),
        ({"accepted_alarms": {"p", "q"}}, "1 immediate events were accepted and lost: q."),
        ({"alarms": ["p", "r"]}, "1 immediate events were never published: r."),
        ({"alarms": ["p", "p"]}, "1 immediate events are there more than once: p."),
        ({"missing": 2}, "The log says that 2 events are missing."),
    ],
)
def test_each_way_to_break_it_is_found(given, found):
    assert violations(history(**given)) == [found]


def test_a_run_in_which_nothing_happened_shows_nothing():
    empty = History(steps=[], events=[], changes=[], step_effects=[], change_effects=[], items={})
    assert violations(empty) == ["Nothing was committed: the run shows nothing."]
