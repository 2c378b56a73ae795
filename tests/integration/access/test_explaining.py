"""Why may a user do something, and why not?"""

import json

import pytest
from django.contrib.auth import get_user_model
from django.core.management import CommandError, call_command

from isthmus.access import policy
from isthmus.access.actions import assign, ensure_permission_set
from isthmus.access.errors import UnknownGrantAction, UnknownGrantKind
from isthmus.access.explaining import explain

pytestmark = pytest.mark.django_db


@pytest.fixture
def ada():
    return get_user_model().objects.create_user("ada")


@pytest.fixture
def desk():
    return ensure_permission_set("Desk", "Desk", [("object", "edit", "Contact"), ("field", "read", "Contact.*")])


def test_a_grant_of_a_permission_set_decides(ada, desk):
    assign(desk, ada)
    found = explain(ada, "object", "read", "Contact")
    assert (found.may, found.rule) == (True, "Desk grants object.edit on Contact.")
    assert explain(ada, "field", "read", "Contact.Email").rule == "Desk grants field.read on Contact.*."


def test_without_one_it_is_said_who_has_it(ada, desk):
    found = explain(ada, "object", "edit", "Contact")
    assert (found.may, found.rule) == (False, "No permission set of ada grants object.edit on Contact.")
    assert [given.permission_set for given in found.would_allow] == ["Desk"]
    assert explain(ada, "object", "delete", "Contact").would_allow == ()


@pytest.mark.parametrize(
    ("given", "may", "rule"),
    [
        ({"is_superuser": True}, True, "ada is a superuser, and so has everything."),
        ({"is_superuser": True, "is_active": False}, False, "ada is not active, and so has nothing."),
    ],
)
def test_some_users_need_no_grant_and_some_have_nothing(given, may, rule, ada):
    vars(ada).update(given)
    found = explain(ada, "object", "edit", "Contact")
    assert (found.may, found.rule) == (may, rule)


def test_the_automated_process_has_everything():
    assert explain(policy.system_user(), "object", "edit", "Contact").rule.endswith(
        "is the automated process, and so has everything."
    )


@pytest.mark.parametrize("kind", ["object", "field"])
@pytest.mark.parametrize("action", ["read", "edit"])
@pytest.mark.parametrize(
    "held", [[], [("object", "edit", "*")], [("field", "edit", "Contact.*")], [("field", "read", "*")]]
)
def test_the_explanation_says_what_the_policy_does(kind, action, held, ada):
    assign(ensure_permission_set("Some", "Some", held), ada)
    target = "Contact" if kind == "object" else "Contact.Email"
    assert explain(ada, kind, action, target).may == policy.is_granted(ada, kind, action, target)


def test_a_wrong_question_is_an_error(ada):
    with pytest.raises(UnknownGrantKind):
        explain(ada, "planet", "read", "Mars")
    with pytest.raises(UnknownGrantAction):
        explain(ada, "object", "paint", "Contact")


def test_the_command_tells_the_rule_and_what_would_help(ada, desk, capsys):
    with pytest.raises(CommandError, match="No permission set of ada") as refused:
        call_command("access", "explain", "ada", "object.edit", "Contact")
    assert refused.value.returncode == 2
    assert "would allow it: Desk grants object.edit on Contact." in capsys.readouterr().out
    assign(desk, ada)
    call_command("access", "explain", "ada", "object.edit", "Contact", "--json")
    assert json.loads(capsys.readouterr().out)["may"] is True


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["nobody", "object.edit", "Contact"], "no user"),
        (["ada", "edit", "Contact"], "such as object.edit"),
        (["ada", "planet.read", "Mars"], "no kind of grant"),
    ],
)
def test_a_question_that_is_none_is_refused(arguments, complaint, ada):
    with pytest.raises(CommandError, match=complaint):
        call_command("access", "explain", *arguments)
