"""SOQL is read in linear time, whatever is thrown at it, and nothing but its own errors comes out."""

import time
from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from records.soql import relative_dates
from records.soql.errors import QueryError
from records.soql.parsing import parse
from records.soql.statements import AllOf, AnyOf, Comparison, Function, Membership, Negation, Path, Query
from records.soql.texts import letters_of, unescaped

NAMES = st.from_regex(r"[A-Za-z][A-Za-z0-9_]{0,12}", fullmatch=True)
PATHS = st.lists(NAMES, min_size=1, max_size=4).map(".".join)
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=40)
KEYWORDS = st.sampled_from(
    [
        *[
            "SELECT",
            "FROM",
            "WHERE",
            "AND",
            "OR",
            "NOT",
            "IN",
            "LIKE",
            "ORDER",
            "BY",
            "GROUP",
            "HAVING",
            "LIMIT",
            "OFFSET",
            "NULLS",
            "FIRST",
            "LAST",
            "ASC",
            "DESC",
        ],
        *[
            "TYPEOF",
            "WHEN",
            "THEN",
            "ELSE",
            "END",
            "FOR",
            "VIEW",
            "ALL",
            "ROWS",
            "USING",
            "SCOPE",
            "WITH",
            "UPDATE",
            "INCLUDES",
            "EXCLUDES",
            "null",
            "true",
        ],
        *["(", ")", ",", "=", "!=", "<", ">=", "'", "'a'", "1", "-1.5e3", "2024-01-01", "TODAY", "LAST_N_DAYS:3", "."],
        *["Id", "Name", "COUNT", "Account", "\\", "'\\'", "2024-01-01T00:00:00Z", "USD5", ":", ";", "--"],
    ]
)


def quoted(text):
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


@st.composite
def values(draw):
    return draw(
        st.one_of(
            TEXTS.map(quoted),
            st.integers(-(10**30), 10**30).map(str),
            st.floats(allow_nan=False, allow_infinity=False).map(repr),
            st.sampled_from(["null", "TRUE", "false", "TODAY", "N_DAYS_AGO:3", "next_n_fiscal_quarters:2"]),
            st.dates().map(date.isoformat),
        )
    )


def conditions():
    def comparison(operand, operator, value):
        return f"{operand} {operator} {value}"

    operators = st.sampled_from(["=", "!=", "<>", "<", "<=", ">", ">="])
    leaf = st.one_of(
        st.builds(comparison, PATHS, operators, values()),
        st.builds(lambda path, text: f"{path} LIKE {quoted(text)}", PATHS, TEXTS),
        st.builds(
            lambda path, how, listed: f"{path} {how} ({', '.join(listed)})",
            PATHS,
            st.sampled_from(["IN", "NOT IN", "not  in", "INCLUDES", "EXCLUDES"]),
            st.lists(values(), min_size=1, max_size=4),
        ),
        st.builds(lambda path, inner: f"{path} IN (SELECT {inner} FROM X)", PATHS, PATHS),
    )
    return st.recursive(
        leaf,
        lambda below: st.one_of(
            st.builds(lambda one: f"(NOT {one})", below),
            st.builds(
                lambda word, parts: "(" + f" {word} ".join(parts) + ")",
                st.just("AND"),
                st.lists(below, min_size=2, max_size=4),
            ),
            st.builds(
                lambda word, parts: "(" + f" {word} ".join(parts) + ")",
                st.just("OR"),
                st.lists(below, min_size=2, max_size=4),
            ),
        ),
        max_leaves=12,
    )


def read(text):
    """Return the query, or why it is none."""
    try:
        return parse(text)
    except QueryError as error:
        return error


@given(st.text(max_size=300))
def test_any_text_is_a_query_or_refused(text):
    found = read(text)
    assert isinstance(found, Query) or (found.status == 400 and found.message)


@given(st.lists(KEYWORDS, max_size=40).map(" ".join))
@settings(max_examples=300)
def test_any_sequence_of_words_is_a_query_or_refused(text):
    found = read(text)
    told = ("ERROR at Row:1:Column:", "longer", "nested")
    assert isinstance(found, Query) or any(part in found.message for part in told)


@given(PATHS, NAMES, conditions(), st.booleans())
@settings(max_examples=200)
def test_a_query_that_is_written_well_is_read(path, name, condition, is_lower):
    words = ["select" if is_lower else "SELECT", path, "from" if is_lower else "FROM", name, "WHERE", condition]
    query = read(" ".join(words))
    if not isinstance(query, Query):
        # Names may be words that have a meaning where they stand.
        assert any(part in query.message for part in ("unexpected", "nested deeper", "too large"))
        return
    assert query.source == Path((name,), query.source.at)
    assert isinstance(query.where, Comparison | Membership | Negation | AllOf | AnyOf)


@given(TEXTS)
def test_a_quoted_text_means_itself(text):
    query = parse(f"SELECT Id FROM A WHERE Name = {quoted(text)} LIMIT 1")
    assert unescaped(query.where.value.value) == text
    assert query.limit == 1


@pytest.mark.parametrize("text", ["\udbfe", "SELECT Id FROM A WHERE Name = 'a\ud800b'", "SELECT \x00"])
def test_what_is_no_character_is_refused_in_words_that_can_be_told(text):
    found = read(text)
    assert found.code == "MALFORMED_QUERY"
    assert found.message.encode()


def test_escapes():
    assert unescaped(r"\n\r\t\b\f\"\'\\\u00e9\N") == "\n\r\t\b\f\"'\\é\n"
    assert letters_of(r"a\%_") == [("a", False), ("%", True), ("_", False)]


@pytest.mark.parametrize(
    "begin",
    [
        "SELECT Id FROM A WHERE " + "(" * 90_000,
        "SELECT Id FROM A WHERE " + "NOT " * 24_000,
        "SELECT " + "(SELECT " * 12_000,
        "SELECT Id FROM A WHERE a IN (SELECT b FROM B WHERE " * 1_900,
        "SELECT Id FROM A WHERE Name = '" + "\\'" * 49_000,
        "SELECT " + "a.b," * 24_000,
        "SELECT " + "a" * 99_000,
        "SELECT Id FROM A WHERE a = 1 " + "OR a = 1 " * 10_000,
        "SELECT " + "f(" * 49_000,
        "SELECT Id FROM A WHERE a = " + "1" * 90_000,
        " " * 99_999,
        "'" * 99_999,
        "\\" * 99_999,
        "SELECT Id FROM A WHERE a = 2024-01-01T00:00:00." + "0" * 90_000 + "Z",
    ],
    ids=lambda text: text[:40].strip() or "blank",
)
def test_time_grows_with_the_length_alone(begin):
    """Ten times the text takes ten times as long, not a hundred times. (A factor of sixty leaves room for noise.)"""

    def taken(text):
        began = time.perf_counter()
        read(text)
        return time.perf_counter() - began

    taken(begin[: len(begin) // 10])
    short = min(taken(begin[: len(begin) // 10]) for _ in range(3))
    assert min(taken(begin) for _ in range(2)) < max(60 * short, 1.0)


@pytest.mark.parametrize(
    ("name", "number", "first", "after"),
    [
        ("TODAY", 0, "2026-05-13", "2026-05-14"),
        ("YESTERDAY", 0, "2026-05-12", "2026-05-13"),
        ("TOMORROW", 0, "2026-05-14", "2026-05-15"),
        ("THIS_WEEK", 0, "2026-05-10", "2026-05-17"),
        ("LAST_WEEK", 0, "2026-05-03", "2026-05-10"),
        ("NEXT_WEEK", 0, "2026-05-17", "2026-05-24"),
        ("THIS_MONTH", 0, "2026-05-01", "2026-06-01"),
        ("LAST_MONTH", 0, "2026-04-01", "2026-05-01"),
        ("NEXT_MONTH", 0, "2026-06-01", "2026-07-01"),
        ("LAST_90_DAYS", 0, "2026-02-12", "2026-05-14"),
        ("NEXT_90_DAYS", 0, "2026-05-14", "2026-08-12"),
        ("LAST_N_DAYS", 2, "2026-05-11", "2026-05-14"),
        ("NEXT_N_DAYS", 2, "2026-05-14", "2026-05-16"),
        ("N_DAYS_AGO", 2, "2026-05-11", "2026-05-12"),
        ("LAST_N_WEEKS", 2, "2026-04-26", "2026-05-10"),
        ("N_WEEKS_AGO", 1, "2026-05-03", "2026-05-10"),
        ("LAST_N_MONTHS", 5, "2025-12-01", "2026-05-01"),
        ("NEXT_N_MONTHS", 8, "2026-06-01", "2027-02-01"),
        ("THIS_QUARTER", 0, "2026-04-01", "2026-07-01"),
        ("LAST_N_QUARTERS", 2, "2025-10-01", "2026-04-01"),
        ("NEXT_FISCAL_QUARTER", 0, "2026-07-01", "2026-10-01"),
        ("THIS_YEAR", 0, "2026-01-01", "2027-01-01"),
        ("LAST_N_FISCAL_YEARS", 2, "2024-01-01", "2026-01-01"),
        ("N_YEARS_AGO", 3, "2023-01-01", "2024-01-01"),
    ],
)
def test_relative_dates(name, number, first, after):
    assert relative_dates.is_known(name, "_N_" in name or name.startswith("N_"))
    found = relative_dates.span(name, number, date(2026, 5, 13))
    assert found == (date.fromisoformat(first), date.fromisoformat(after))


@pytest.mark.parametrize("name", ["LAST_DAY", "THIS_N_DAYS", "SOMEDAY", "LAST_N_DAY", "N_WEEK_AGO", "LAST_91_DAYS"])
def test_what_is_no_relative_date(name):
    assert not relative_dates.is_known(name, False)
    assert not relative_dates.is_known(name, True)


def test_functions_stand_two_deep():
    query = parse("SELECT COUNT(Id) FROM A GROUP BY HOUR_IN_DAY(convertTimezone(CreatedDate))")
    assert isinstance(query.group_by[0], Function)
    assert query.group_by[0].spelt == "HOUR_IN_DAY(convertTimezone(CreatedDate))"
