"""Random rows and conditions: a query finds what an evaluator of a few lines, without a database, finds.

SOQL knows true and false and nothing between: a comparison with an empty field is false, and its negation true. An
empty text is an empty field, and letter case does not count.
"""

import re
from decimal import Decimal

import pytest
from django.db import transaction
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from crm.models import Lead
from records.soql import running

pytestmark = [pytest.mark.django_db, pytest.mark.timeout(400)]

LETTERS = "aAbBéÉßЖж%_\\' 1"
TEXTS = st.text(LETTERS, max_size=4).map(str.strip)
AMOUNTS = st.sampled_from([Decimal(text) for text in ("-1.50", "0", "0.10", "1", "1.5", "2", "10", "1000000000000000")])
WHOLES = st.sampled_from([-3, 0, 1, 2, 10, 2**31 - 1])
MODES = {"=", "!=", "<", "<=", ">", ">="}

FIELDS = {
    "Title": ("title", TEXTS),
    "City": ("city", TEXTS),
    "AnnualRevenue": ("annual_revenue", AMOUNTS),
    "NumberOfEmployees": ("number_of_employees", WHOLES),
    "IsConverted": ("is_converted", st.booleans()),
}
ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "title": TEXTS,
            "city": TEXTS,
            "annual_revenue": st.none() | AMOUNTS,
            "number_of_employees": st.none() | WHOLES,
            "is_converted": st.booleans(),
        }
    ),
    min_size=1,
    max_size=6,
)
"""What leads hold."""


def quoted(text):
    return "'" + re.sub(r"(['\\])", r"\\\1", text) + "'"


def literal(value):
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    return quoted(value) if isinstance(value, str) else str(value)


def folded(value):
    """Return the value as it is compared: null for an empty text."""
    if isinstance(value, str):
        return value.lower() or None
    return value


@st.composite
def comparisons(draw):
    """A comparison as SOQL, and the function of a row that says the same."""
    name = draw(st.sampled_from(list(FIELDS)))
    column, values = FIELDS[name]
    form = draw(st.sampled_from(["compare", "compare", "in", "like", "null"]))
    if form == "like" and values is not TEXTS:
        form = "compare"
    if form == "null":
        operator = draw(st.sampled_from(["=", "!=", "<>"]))
        return f"{name} {operator} null", lambda row: (folded(row[column]) is None) is (operator == "=")
    if form == "in":
        listed = draw(st.lists(st.none() | values, min_size=1, max_size=3))
        operator = draw(st.sampled_from(["IN", "NOT IN"]))
        wanted = [folded(value) for value in listed]
        return (
            f"{name} {operator} ({', '.join(literal(value) for value in listed)})",
            lambda row: (folded(row[column]) in wanted) is (operator == "IN"),
        )
    if form == "like":
        return like(name, column, draw(st.lists(st.sampled_from([*LETTERS, "%", "%", "_"]), max_size=4)), draw)
    value = draw(values)
    # In which order letters stand, the database's collation says; the others are the same everywhere.
    operators = ["=", "!="] if values is TEXTS or isinstance(value, bool) else sorted(MODES)
    operator = draw(st.sampled_from(operators))
    return f"{name} {operator} {literal(value)}", lambda row: compare(folded(row[column]), operator, folded(value))


def like(name, column, letters, draw):
    pattern, expression = "", ""
    for letter in letters:
        plain = letter not in "%_" or draw(st.booleans())
        pattern += f"\\{letter}" if plain and letter in "%_\\'" else letter
        expression += re.escape(letter) if plain else {"%": ".*", "_": "."}[letter]
    matcher = re.compile(expression, re.DOTALL | re.IGNORECASE)
    return (
        f"{name} LIKE '{pattern}'",
        lambda row: row[column] != "" and matcher.fullmatch(row[column]) is not None,
    )


def compare(left, operator, right):
    if operator in {"=", "!="} or right is None:
        return (left == right) is (operator != "!=")
    if left is None:
        return False
    return {"<": left < right, "<=": left <= right, ">": left > right, ">=": left >= right}[operator]


def negated(condition):
    soql, holds = condition
    return f"(NOT ({soql}))", lambda row: not holds(row)


def joined(parts, word, decide):
    soql = f" {word} ".join(f"({part})" for part, _ in parts)
    return soql, lambda row: decide(holds(row) for _, holds in parts)


CONDITIONS = st.recursive(
    comparisons(),
    lambda below: st.one_of(
        below.map(negated),
        st.lists(below, min_size=2, max_size=3).map(lambda parts: joined(parts, "AND", all)),
        st.lists(below, min_size=2, max_size=3).map(lambda parts: joined(parts, "OR", any)),
    ),
    max_leaves=6,
)


@settings(
    max_examples=120,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
@given(rows=ROWS, conditions=st.lists(CONDITIONS, min_size=1, max_size=4))
def test_a_query_finds_what_the_condition_says(clerk, rows, conditions):
    asked = running.Asked(user=clerk[0], base="/services/data/v60.0", batch_size=2_000, include_deleted=False)
    with transaction.atomic():
        Lead.objects.bulk_create([Lead(last_name=str(place), company="C", **row) for place, row in enumerate(rows)])
        for soql, holds in conditions:
            found = running.run(f"SELECT LastName FROM Lead WHERE {soql}", asked)["records"]
            expected = [str(place) for place, row in enumerate(rows) if holds(row)]
            assert sorted(one["LastName"] for one in found) == expected, soql
        transaction.set_rollback(True)
