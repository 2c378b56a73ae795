"""How SOSL is read: what it means, and that no text whatever does anything but be refused by code."""

import contextlib
import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from records.errors import SearchMalformed
from records.search_index import All, Any, Number, Words
from records.search_index.numbers import digits_of, number_in, writings_of
from records.search_index.words import patterns_in, words_in
from records.sosl import Returned, Scope, parse_search, plain_expression
from records.sosl.parsing import MAX_DEPTH, MAX_SEARCH_CHARACTERS, MAX_TERM_CHARACTERS, MAX_WORDS


def expression(term):
    return parse_search(f"FIND {{{term}}}").expression


def words(*texts):
    return Words(texts)


@pytest.mark.parametrize(
    ("term", "meant"),
    [
        ("acme", words("acme")),
        ("ACME Inc", All((words("acme"), words("inc")))),
        ("acme AND inc", All((words("acme"), words("inc")))),
        ("acme or inc", Any((words("acme"), words("inc")))),
        ("aa OR bb cc", Any((words("aa"), All((words("bb"), words("cc")))))),
        ("(aa OR bb) cc", All((Any((words("aa"), words("bb"))), words("cc")))),
        ("aa AND NOT bb", All((words("aa"),), (words("bb"),))),
        ("aa and  not (bb OR cc)", All((words("aa"),), (Any((words("bb"), words("cc"))),))),
        ("aa & bb", All((words("aa"), words("bb")))),
        ('"acme inc"', words("acme", "inc")),
        ('"acme AND \\"inc*"', words("acme", "and", "inc")),
        ("ann@example.org", words("ann", "example", "org")),
        ("ann\\-marie\\*", words("ann", "marie")),
        ("ann-m*", words("ann", "m*")),
        ("s?ith**", words("s?ith*")),
        ("andy orson", All((words("andy"), words("orson")))),
        ("\\{x\\}y", words("x", "y")),
        ("((aa))", words("aa")),
        ("0301234", Any((words("0301234"), Number("301234")))),
        (
            "+49 30 1234",
            Any((All((words("49"), words("30"), words("1234"))), Number("49301234", international=True))),
        ),
    ],
)
def test_what_a_term_means(term, meant):
    assert expression(term) == meant


def test_clauses():
    found = parse_search(
        "find 'it\\'s' in name fields returning Account ( Id, Name where Name = 'a) \\' (' and (X__c > 1) limit 3 ),\n"
        "Contact, Lead(Id) with highlight limit 7 update viewstat"
    )
    assert (found.expression, found.scope, found.limit) == (words("it", "s"), Scope.NAME, 7)
    assert found.returned == (
        Returned(object_name="Account", source=" Id, Name where Name = 'a) \\' (' and (X__c > 1) limit 3 "),
        Returned(object_name="Contact", source="Id"),
        Returned(object_name="Lead", source="Id"),
    )


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "Row:1:Column:1\nunexpected token: '<EOF>'"),
        ("FIND {ac\x00me}", "unexpected character: U+0000"),
        ("FIND {\ud890}", "unexpected character: U+D890"),
        ("FIND acme", "No search term found. The search term must be enclosed in braces."),
        ("FIND {acme", "No search term found. The search term must be enclosed in braces."),
        ("FIND {}", "search term must be longer than one character: "),
        ("FIND {&|!}", "search term must be longer than one character: &|!"),
        ("FIND {a*}", "search term must be longer than one character: a*"),
        ("FIND {(ab}", "Row:1:Column:10\nunexpected token: '}'"),
        ("FIND {ab)}", "Row:1:Column:9\nunexpected token: ')'"),
        ('FIND {ab "cd}', "Row:1:Column:10\nunexpected token: '\"'"),
        ("FIND {ab AND}", "Row:1:Column:13\nunexpected token: '}'"),
        ("FIND {OR ab}", "Row:1:Column:7\nunexpected token: 'OR'"),
        ("FIND {AND NOT ab}", "Row:1:Column:7\nunexpected token: 'AND'"),
        ("FIND {ab ?c}", "Row:1:Column:10\na word must not begin with a wildcard"),
        ("FIND {ab}\nIN SOME FIELDS", "Row:2:Column:4\nunexpected token: 'SOME'"),
        ("FIND {ab} LIMIT 1 RETURNING Account", "Row:1:Column:19\nunexpected token: 'RETURNING'"),
        ("FIND {ab} LIMIT 2001", "Row:1:Column:17\nLIMIT must not be more than 2000"),
        ("FIND {ab} RETURNING Account(Id))", "Row:1:Column:32\nunexpected token: ')'"),
        ("FIND {ab} RETURNING Account('", "Row:1:Column:29\nunexpected token: '''"),
        ("FIND {ab} WITH SECRETS", "Row:1:Column:16\nunexpected token: 'SECRETS'"),
        ("FIND {ab}; DROP TABLE x", "Row:1:Column:10\nunexpected token: ';'"),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_place(text, told):
    with pytest.raises(SearchMalformed) as refused:
        parse_search(text)
    assert refused.value.code == "MALFORMED_SEARCH"
    assert str(refused.value).endswith(told)


@pytest.mark.parametrize(
    "text",
    [
        "FIND {" + "x" * 100_000 + "}",
        "FIND {" + "x" * (MAX_TERM_CHARACTERS + 1) + "}",
        "FIND {ab}" + " " * MAX_SEARCH_CHARACTERS,
        "FIND {" + "(" * (MAX_DEPTH + 1) + "ab" + ")" * (MAX_DEPTH + 1) + "}",
        "FIND {" + "(" * 9_000 + "}",
        "FIND {ab} RETURNING X(" + "(" * 19_000,
        "FIND {ab} RETURNING X" + "(" * 9_000 + ")" * 9_000,
        "FIND {" + " ".join(["ab"] * (MAX_WORDS + 1)) + "}",
        "FIND {ab} RETURNING " + ", ".join(["X"] * 5_000),
    ],
)
def test_limits(text):
    with pytest.raises(SearchMalformed):
        parse_search(text)


@pytest.mark.parametrize(
    "term",
    [
        " OR ".join(["ab"] * MAX_WORDS),
        " ".join(["ab"] * MAX_WORDS),
        "(" * MAX_DEPTH + "ab" + ")" * MAX_DEPTH,
        "AND " * 2_000,
        "AND" + " " * 9_000 + "ab",
        '"' * 9_999,
        "\\" * 9_998 + "ab",
        "a" + "*b" * 4_000,
        "1 " * 900,
    ],
)
def test_reading_takes_time_in_proportion(term):
    started = time.perf_counter()
    with contextlib.suppress(SearchMalformed):
        expression(term)
    assert time.perf_counter() - started < 5


_PIECES = st.sampled_from(
    [
        "FIND",
        "{",
        "}",
        "'",
        '"',
        "(",
        ")",
        "\\",
        "*",
        "?",
        " AND ",
        " OR ",
        " AND NOT ",
        "ab",
        "12345",
        " ",
        ",",
        "\n",
        "RETURNING",
        "Account",
        "IN",
        "ALL",
        "FIELDS",
        "WITH",
        "HIGHLIGHT",
        "LIMIT",
        "5",
        "WHERE",
        "é",
        "\x00",
        "😀",
    ]
)


@settings(max_examples=300, deadline=None)
@given(
    st.one_of(
        st.text(), st.lists(_PIECES).map("".join), st.lists(_PIECES).map(lambda some: f"FIND {{{''.join(some)}}}")
    )
)
def test_any_text_is_read_or_refused(text):
    with contextlib.suppress(SearchMalformed):
        parse_search(text)


@settings(max_examples=200, deadline=None)
@given(st.text())
def test_plain_terms_are_read_or_refused(text):
    with contextlib.suppress(SearchMalformed):
        plain_expression(text)


_WORD = st.from_regex(r"[b-z]{2,6}", fullmatch=True).filter(lambda word: word not in {"and", "or", "not"})
_LEAVES = st.one_of(
    _WORD.map(lambda word: Words((word,))),
    _WORD.map(lambda word: Words((f"{word}*",))),
    st.lists(_WORD, min_size=2, max_size=3).map(lambda some: Words(tuple(some))),
)
_TREES = st.recursive(
    _LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, min_size=2, max_size=4).map(lambda parts: Any(tuple(parts))),
        st.tuples(st.lists(inner, min_size=2, max_size=3).map(tuple), st.lists(inner, max_size=2).map(tuple)).map(
            lambda pair: All(*pair)
        ),
    ),
    max_leaves=12,
)


def written(tree):
    if isinstance(tree, Words):
        return '"' + " ".join(tree.words) + '"' if len(tree.words) > 1 else tree.words[0]
    if isinstance(tree, Any):
        return "(" + " OR ".join(map(written, tree.parts)) + ")"
    without = "".join(f" AND NOT {written(part)}" for part in tree.without)
    return "(" + " AND ".join(map(written, tree.parts)) + without + ")"


@settings(max_examples=200, deadline=None)
@given(_TREES)
def test_what_is_written_is_read_again(tree):
    assert expression(written(tree)) == tree


@settings(max_examples=200, deadline=None)
@given(st.text(st.characters(exclude_characters="*?\x01\x02"), min_size=1))
def test_escapes_take_the_meaning_from_every_character(text):
    escaped = re.sub(r"([?&|!{}\[\]()^~*:\\\"'+-])", r"\\\1", text)
    assert patterns_in(escaped) == words_in(text)


def test_words():
    assert words_in("Ångström-ÉTÉ x_y 東京都 Йод ΟΔΟΣ Straße") == (
        ("angstrom", "ete", "x", "y", "東京都", "йод", "οδοσ", "straße")
    )
    assert patterns_in("a\\*b c*d? \x01") == ("a", "b", "c*d?")


def test_numbers():
    assert number_in("(030) 12-34/5") == Number("3012345")
    assert number_in("0049 30 1234") == Number("49301234", international=True)
    assert (number_in("12 34"), number_in("12345a"), number_in("1" * 21), number_in("")) == (None, None, None, None)
    assert list(writings_of(Number("49301234", international=True))) == [
        ("43210394", True),
        ("4321039", False),
        ("432103", False),
    ]
    assert (digits_of("+49 30 1234"), digits_of("1234"), digits_of("12345 ext"), digits_of(None)) == (
        "43210394",
        None,
        None,
        None,
    )
