"""An index on an expression: a GIN index of the words of a row, computed by the database from the row itself.

No trigger and no second table: whatever writes a row (COPY and TRUNCATE as well) writes the index. Each word carries
the number of its field (`3_acme`), so the index itself answers "in these fields", for whatever fields a caller may
read, and words of two fields never stand side by side.

The words are found by functions of our own, because the parsers of full-text search depend on the database's locale
and take mail addresses, numbers and paths for one word each. Limits: a phrase is found in the first 16,383 words of a
field, and by the first 256 places of each word (what a `tsvector` keeps).
"""

import hashlib
from collections.abc import Sequence

from django.db.backends.base.base import BaseDatabaseWrapper
from psycopg import sql

from records.search_index.expressions import Any, Expression, Number, Words
from records.search_index.numbers import LEAST_DIGITS, MOST_DIGITS, PUNCTUATION, writings_of
from records.search_index.plan import IndexedColumn, IndexPlan
from records.search_index.words import MAX_WORD_CHARACTERS, word_characters

__all__ = ["condition", "creation", "definition", "installed", "name_of", "prepare", "query_for", "removal"]

_DOCUMENT, _DIGITS = "isthmus_search_document_1", "isthmus_search_digits_1"
"""Versioned: an index keeps what its function once said. Another body needs another number."""

# Planners are to take the index rather than to compute the words of every row.
_COST = 10_000

_COLLATIONS = ("und-x-icu", "pg_c_utf8", "C.utf8", "en_US.utf8")
"""Those that know the small letters of every script, the best first; the database's own where there is none."""


def _foundation(collation: str) -> tuple[str, str]:
    """Return the statements that make the two functions."""
    return (
        # Words as `words.py` finds them. Texts of nothing but ASCII, which most are, take the short way.
        f"""
CREATE FUNCTION {_DOCUMENT}(texts text[]) RETURNS tsvector
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE COST {_COST} AS $search$
BEGIN
  RETURN (
    SELECT coalesce(string_agg(
      '''' || given.code || '_' || left(word.word, {MAX_WORD_CHARACTERS}) || ''':' || least(word.place, 16383), ' '
    ), '')::tsvector
    FROM unnest(texts) WITH ORDINALITY AS given(text, code),
    LATERAL unnest(string_to_array(
      CASE WHEN octet_length(given.text) = length(given.text) THEN
        regexp_replace(lower(given.text COLLATE "C"), '[^a-z0-9]+', ' ', 'g')
      ELSE
        regexp_replace(replace(regexp_replace(normalize(regexp_replace(
          lower(normalize(given.text, NFD) COLLATE "{collation}") COLLATE "C",
          '([a-z])[\\u0300-\\u036f]+', '\\1', 'g'
        ), NFC), '[\\u0300-\\u036f]+', '', 'g'), 'ς', 'σ'), '[^{word_characters()}]+', ' ', 'g')
      END, ' ')) WITH ORDINALITY AS word(word, place)
    WHERE word.word <> ''
  );
END $search$
    """,
        f"""
CREATE FUNCTION {_DIGITS}(number text) RETURNS text
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE STRICT AS $search$
DECLARE
  digits text := ltrim(translate(number, '{PUNCTUATION}', ''), '0');
BEGIN
  IF digits ~ '^[0-9]+$' AND length(digits) BETWEEN {LEAST_DIGITS} AND {MOST_DIGITS} THEN
    RETURN reverse(digits);
  END IF;
  RETURN NULL;
END $search$
    """,
    )


def prepare(connection: BaseDatabaseWrapper) -> None:
    """Make the functions that indexes stand on."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT proname FROM pg_proc WHERE proname IN (%s, %s)", [_DOCUMENT, _DIGITS])
        there = {name for (name,) in cursor.fetchall()}
        cursor.execute("SELECT collname FROM pg_collation WHERE collname = ANY(%s)", [list(_COLLATIONS)])
        known = {name for (name,) in cursor.fetchall()}
        collation = next((name for name in _COLLATIONS if name in known), "default")
        for name, statement in zip((_DOCUMENT, _DIGITS), _foundation(collation), strict=True):
            if name not in there:
                cursor.execute(statement)


def name_of(table: str) -> str:
    """Return the name of a table's index."""
    name = f"isthmus_search_{table}"
    # PostgreSQL cuts names after 63 bytes.
    return name if len(name) <= 63 else f"{name[:50]}_{hashlib.sha256(table.encode()).hexdigest()[:12]}"


def definition(plan: IndexPlan) -> str:
    """Return a text that is another one whenever the index has to be another one."""
    return f"isthmus search {hashlib.sha256(_document(plan).encode()).hexdigest()}"


def installed(connection: BaseDatabaseWrapper) -> dict[str, str]:
    """Return the definition of every valid index by table; "" of one whose making was interrupted."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT t.relname, coalesce(CASE WHEN x.indisvalid THEN obj_description(i.oid, 'pg_class') END, '') "
            "FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid JOIN pg_class t ON t.oid = x.indrelid "
            "WHERE i.relname LIKE 'isthmus\\_search\\_%%' AND pg_table_is_visible(t.oid)",
            [],
        )
        return dict(cursor.fetchall())


def creation(plan: IndexPlan, connection: BaseDatabaseWrapper) -> list[str]:
    """Return the statements that make the index of a table; writers go on meanwhile, unless a transaction is open."""
    name = sql.Identifier(name_of(plan.table))
    concurrently = sql.SQL("" if connection.in_atomic_block else "CONCURRENTLY ")
    created = sql.SQL("CREATE INDEX {concurrently}{name} ON {table} USING gin ({document})").format(
        concurrently=concurrently, name=name, table=sql.Identifier(plan.table), document=sql.SQL(_document(plan))
    )
    told = sql.SQL("COMMENT ON INDEX {name} IS {definition}").format(
        name=name, definition=sql.Literal(definition(plan))
    )
    return [created.as_string(), told.as_string()]


def removal(table: str) -> list[str]:
    """Return the statements that take the index of a table away."""
    return [sql.SQL("DROP INDEX IF EXISTS {}").format(sql.Identifier(name_of(table))).as_string()]


def condition(plan: IndexPlan) -> str:
    """Return the SQL condition with which rows of the table fit a query, its one parameter."""
    return f"{_document(plan, qualified=True)} @@ %s::tsquery"


def query_for(expression: Expression, columns: Sequence[IndexedColumn]) -> str | None:
    """Return what fits what is searched for in one of these columns; `None` when nothing can."""
    if isinstance(expression, Words):
        return _joined([_phrase(expression, column) for column in columns if not column.is_number], "|")
    if isinstance(expression, Number):
        lexemes = [
            f"{_lexeme(column, digits)}{':*' if is_beginning else ''}"
            for column in columns
            if column.is_number
            for digits, is_beginning in writings_of(expression)
        ]
        return _joined(lexemes, "|")
    parts = [query_for(part, columns) for part in expression.parts]
    possible = [part for part in parts if part is not None]
    if isinstance(expression, Any):
        return _joined(possible, "|")
    if len(possible) < len(parts):
        return None
    without = [query_for(part, columns) for part in expression.without]
    return _joined([*possible, *(f"!{part}" for part in without if part is not None)], "&")


def _document(plan: IndexPlan, *, qualified: bool = False) -> str:
    table = f"{_quoted(plan.table)}." if qualified else ""
    texts = ", ".join(_text(column, f"{table}{_quoted(column.column)}") for column in plan.columns)
    return f"{_DOCUMENT}(ARRAY[{texts}])"


def _text(column: IndexedColumn, source: str) -> str:
    return f"{_DIGITS}({source})" if column.is_number else f'"left"({source}, {column.characters})'


def _phrase(words: Words, column: IndexedColumn) -> str:
    *others, last = words.words
    ending = f"{_lexeme(column, last.removesuffix('*'))}{':*' if last.endswith('*') else ''}"
    joined = " <-> ".join([*(_lexeme(column, word) for word in others), ending])
    return f"({joined})" if others else joined


def _lexeme(column: IndexedColumn, word: str) -> str:
    # Words hold nothing but letters and digits; the quotes are for the underscore.
    return f"'{column.code}_{word[:MAX_WORD_CHARACTERS]}'"


def _joined(parts: Sequence[str], operator: str) -> str | None:
    """Join by halves: PostgreSQL walks the tree of a query by recursion."""
    if not parts:
        return None
    if len(parts) == 1:
        return parts[0]
    half = len(parts) // 2
    return f"({_joined(parts[:half], operator)} {operator} {_joined(parts[half:], operator)})"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
