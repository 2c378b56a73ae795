"""How topics are named."""

import doctest

import pytest

from events import names
from events.errors import InvalidSubscriber, UnknownTopic
from events.subscribers import subscriber


def test_the_examples_hold():
    assert doctest.testmod(names).failed == 0


@pytest.mark.parametrize("name", ["", "Order", "/event/Order", "/data/Contact", "/other/X__e", "/event/a b__e", "/"])
def test_what_names_no_topic_is_refused(name):
    with pytest.raises(UnknownTopic):
        names.topic_name(name)


@pytest.mark.parametrize(
    ("name", "kind"),
    [("/event/A__e", "event"), ("/data/ContactChangeEvent", "data"), ("/data/ChangeEvents", "union")],
)
def test_the_kind_of_a_topic_is_in_its_name(name, kind):
    assert names.topic_kind(name) == kind


@pytest.mark.parametrize("wrong", [{"batch_size": 0}, {"batch_size": 2001}, {"start": "yesterday"}])
def test_a_subscriber_that_makes_no_sense_is_refused_when_it_is_declared(wrong):
    with pytest.raises(InvalidSubscriber):
        subscriber("A__e", **wrong)(lambda events: None)
