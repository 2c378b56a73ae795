"""Queries as texts: adding a field, the place of a mistake, the same query for other tools."""

import ast
import shlex

import pytest

from records.explorer.problems import problem_of
from records.explorer.query_texts import is_count, object_name, with_field
from records.explorer.samples import as_curl, as_simple_salesforce


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("SELECT Id FROM Account", "Account"),
        ("select id\nfrom\tAccount where Name = 'from Contact'", "Account"),
        ("SELECT Id, (SELECT Id FROM Contacts WHERE (a = 1)) FROM Account", "Account"),
        ("SELECT Id FROM Case WHERE AccountId IN (SELECT Id FROM Account)", "Case"),
        ("SELECT Id FROM", ""),
        ("SELECT 'FROM Account", ""),
        ("", ""),
        ("(" * 20_000, ""),
        ("'" * 20_000, ""),
    ],
)
def test_the_object_of_a_query(text, name):
    assert object_name(text) == name


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "SELECT Id, Name FROM Account"),
        ("SELECT Id FROM Account", "SELECT Id, Name FROM Account"),
        ("SELECT Id,\nPhone\nFROM Account LIMIT 1", "SELECT Id,\nPhone, Name FROM Account LIMIT 1"),
        ("SELECT FROM Account", "SELECT Name FROM Account"),
        ("SELECT Id, name FROM Account", "SELECT Id, name FROM Account"),
        ("SELECT (SELECT Id FROM Contacts) FROM Account", "SELECT (SELECT Id FROM Contacts), Name FROM Account"),
        ("SELECT Id, FROM Account", "SELECT Id, Name FROM Account"),
        ("SELECT Id,", "SELECT Id, Name"),
    ],
)
def test_a_field_is_added_to_what_is_selected(text, expected):
    assert with_field(text, "Account", "Name") == expected


def test_only_a_bare_count_is_a_count():
    assert is_count("select count ( )\nfrom Account")
    assert not is_count("SELECT COUNT(Id) FROM Account")
    assert not is_count("SELECT COUNT() n FROM Account")


def refusal(message, code="MALFORMED_QUERY"):
    return [{"message": message, "errorCode": code}]


def test_the_place_of_a_mistake_is_found_in_the_text():
    text = "SELECT Id\nFROM Account\nWHRE Name = 'x'"
    problem = problem_of(refusal("WHRE Name = 'x'\n^\nERROR at Row:3:Column:1\nunexpected token: 'WHRE'"), text)
    assert (problem.code, problem.message) == ("MALFORMED_QUERY", "unexpected token: 'WHRE'")
    place = problem.place
    assert (place.row, place.column, place.offset) == (3, 1, text.index("WHRE"))
    assert (place.before, place.marked, place.after) == ("", "WHRE", " Name = 'x'")


@pytest.mark.parametrize(
    ("row", "column", "expected"), [(1, 99, ("SELECT", "")), (1, 0, ("", "SELECT")), (9, 1, None), (0, 1, None)]
)
def test_a_place_beyond_the_text_breaks_nothing(row, column, expected):
    place = problem_of(refusal(f"ERROR at Row:{row}:Column:{column}\nno"), "SELECT").place
    assert (None if place is None else (place.before, place.marked)) == expected


@pytest.mark.parametrize("body", [None, [], {}, ["x"], [{"errorCode": "X"}], b""])
def test_a_refusal_without_words_is_one_too(body):
    assert problem_of(body, "SELECT").message == "The query was not answered."


def test_a_long_line_is_shown_around_the_mistake():
    text = f"SELECT {'Field, ' * 40}Wrong {'x' * 200}"
    column = text.index("Wrong") + 1
    place = problem_of(refusal(f"ERROR at Row:1:Column:{column}\nno"), text).place
    assert place.marked == "Wrong"
    assert place.before.startswith("…")
    assert place.after.endswith("…")


QUERIES = [
    "SELECT Id FROM Account",
    "SELECT Id FROM Account WHERE Name = 'O\\'Neil' AND Phone = '$(id)`id`'",
    'SELECT Id\nFROM Account\nWHERE Name = "x"',
    "SELECT Id\nFROM Account",
    'a """ b\n\\',
    'line\nends in "',
    "tab\tand ünïcode\u2028\x00",
]


@pytest.mark.parametrize("text", QUERIES)
def test_the_curl_command_sends_exactly_the_query(text):
    words = shlex.split(as_curl("https://crm.example", "67.0", text).replace(" \\\n", " "))
    assert words[:3] == ["curl", "--get", "https://crm.example/services/data/v67.0/query"]
    assert words[3:5] == ["--header", "Authorization: Bearer $TOKEN"]
    assert words[5:] == ["--data-urlencode", f"q={text}"]


@pytest.mark.parametrize("text", QUERIES)
def test_the_python_program_holds_exactly_the_query(text):
    tree = ast.parse(as_simple_salesforce("https://crm.example", "67.0", text))
    assigned = next(node for node in tree.body if isinstance(node, ast.Assign) and node.targets[0].id == "query")
    assert ast.literal_eval(assigned.value) == text


def test_deleted_records_are_asked_for_in_both():
    assert "/queryAll" in as_curl("https://crm.example", "67.0", "q", with_deleted=True)
    assert "include_deleted=True" in as_simple_salesforce("https://crm.example", "67.0", "q", with_deleted=True)
