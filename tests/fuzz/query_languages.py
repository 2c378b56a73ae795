"""Reads whatever the fuzzer thinks of as SOQL or SOSL: a text is understood or refused with a code, and nothing else.

    python -m tests.fuzz.query_languages soql -max_total_time=60

Everything after the language is an option of libFuzzer. Ends with a status other than 0 when something else happened.
"""

import os
import re
import sys

import atheris

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "isthmus.settings")
with atheris.instrument_imports(include=["records", "lark"]):
    import django

    django.setup()
    from records.errors import RecordError, SearchMalformed
    from records.soql.errors import QueryError
    from records.soql.parsing import parse, parse_found
    from records.sosl import parse_search

SOQL = [
    *("SELECT ", " FROM ", " WHERE ", " AND ", " OR ", " NOT ", "(", ")", ",", ".", " = ", " != ", " < ", " >= "),
    *(" LIKE ", " IN ", " NOT IN ", " INCLUDES ", " GROUP BY ", " ROLLUP(", " HAVING ", " ORDER BY ", " ASC", " DESC"),
    *(" NULLS LAST", " LIMIT ", " OFFSET ", " FOR VIEW", " ALL ROWS", " UPDATE TRACKING", " USING SCOPE ", " WITH "),
    *(" TYPEOF ", " WHEN ", " THEN ", " ELSE ", " END", " AS ", "COUNT()", "COUNT(Id)", "toLabel(", "FIELDS(ALL)"),
    *("Id", "Name", "Account", "Contacts", "Owner.Name", "a", "'a'", "'\\u0000'", "'\\", "'", "null", "true", "TODAY"),
    *("LAST_N_DAYS:3", "2026-01-31", "2026-13-41", "2026-01-31T10:00:00Z", "10:00:00Z", "1.5e3", "-1", "USD5", "9e999"),
    *("SECURITY_ENFORCED", "DISTANCE(", "GEOLOCATION(1,2)", ":n", "\n", "\x00", "é", "∀", "/*", "--"),
]
SOUND_SOQL = [
    "SELECT Id, Name n, toLabel(Status) FROM Account a, a.Owner o WHERE a.Name LIKE 'a%' AND (NOT x = 1 OR y IN (1))",
    """SELECT Name, (SELECT Id FROM Contacts WHERE Email != null ORDER BY Name LIMIT 5),
    TYPEOF Owner WHEN User THEN Id, Name ELSE Name END
    FROM Account USING SCOPE mine WHERE Id IN (SELECT AccountId FROM Contact) WITH USER_MODE""",
    """SELECT Type, COUNT(Id) c, GROUPING(Type) FROM Account GROUP BY ROLLUP(Type) HAVING COUNT(Id) > 1
    ORDER BY COUNT(Id) DESC NULLS LAST LIMIT 10 OFFSET 2 FOR VIEW UPDATE TRACKING""",
    """SELECT FIELDS(ALL) FROM Lead WHERE CreatedDate >= 2026-01-31T10:00:00.000+01:00 AND D = 2026-01-31
    AND E > 1.5e3 AND F < USD10 AND CALENDAR_YEAR(convertTimezone(CreatedDate)) = 2026 AND G INCLUDES ('a;b', 'c')
    AND H = TODAY AND I = LAST_N_DAYS:3 ALL ROWS""",
]
SOSL = [
    *("FIND ", "{", "}", "'", '"', "acme", "a*", "*", "?", " AND ", " OR ", " AND NOT ", "(", ")", "\\", "\\{", "&"),
    *(" IN ", "ALL", "NAME", " FIELDS", " RETURNING ", "Account", "(Id, Name", " WHERE Name = 'x'", " ORDER BY Name"),
    *(
        " LIMIT ",
        "5",
        "99999",
        " OFFSET 1",
        " USING Listview=x",
        ",",
        " WITH ",
        "HIGHLIGHT",
        "SNIPPET(target_length=5)",
    ),
    *(
        "DIVISION = 'x'",
        "DATA CATEGORY",
        "NETWORK IN ('a')",
        "METADATA='L'",
        "SPELL_CORRECTION=true",
        "UPDATE TRACKING",
    ),
    *("+49 (30) 12-34", "O'Neill", "é", "日本", "\x00", "\n", "{a}", "FIND {acme}", "toLabel(Status)"),
]
SOUND_SOSL = [
    """FIND {acme AND ("new york" OR b* AND NOT c?d) +49 (30) 12} IN NAME FIELDS
    RETURNING Account(Id, Name WHERE Name LIKE 'a%' ORDER BY Name LIMIT 5 OFFSET 2), Contact, Lead(Id)
    WITH HIGHLIGHT LIMIT 20 UPDATE TRACKING, VIEWSTAT""",
    """find 'o\\'neill@example.org' returning Case WITH SNIPPET(target_length=120) WITH METADATA='LABELS'
    WITH NETWORK IN ('a', 'b') WITH SPELL_CORRECTION = false""",
]


def read_soql(text: str) -> None:
    """Read a query, and what SOSL has of one."""
    for read in (parse, lambda found: parse_found(found, "Account")):
        try:
            read(text)
        except QueryError as error:
            require_refusal(error)


def read_sosl(text: str) -> None:
    """Read a search."""
    try:
        parse_search(text)
    except SearchMalformed as error:
        require_refusal(error)


def require_refusal(error: RecordError) -> None:
    """Return if the refusal can be told to a caller."""
    assert error.code, error
    assert 400 <= error.status < 500, error
    error.message.encode()


LANGUAGES = {"soql": (read_soql, SOUND_SOQL, SOQL), "sosl": (read_sosl, SOUND_SOSL, SOSL)}
TOKEN = re.compile(r"'(?:[^'\\]|\\.)*'|\w+|\s+|.", re.DOTALL)


def text_of(data: bytes, sound: list[str], pieces: list[str]) -> str:
    """Return the text that bytes stand for: a sound one, at some places of which other pieces stand, or letters."""
    source = atheris.FuzzedDataProvider(data)
    start = source.ConsumeIntInRange(0, len(sound))
    if start == len(sound):
        return source.ConsumeUnicode(source.remaining_bytes())
    tokens = TOKEN.findall(sound[start])
    while source.remaining_bytes():
        at = source.ConsumeIntInRange(0, len(tokens))
        kept = at + source.ConsumeIntInRange(0, 2)
        piece = source.ConsumeIntInRange(0, len(pieces))
        tokens[at:kept] = [pieces[piece] if piece < len(pieces) else source.ConsumeUnicode(3)]
    return "".join(tokens)


def main() -> None:
    """Fuzz the language that the command line names."""
    read, sound, pieces = LANGUAGES[sys.argv[1]]
    for text in sound:
        read(text)
    atheris.Setup([sys.argv[0], *sys.argv[2:]], lambda data: read(text_of(data, sound, pieces)))
    atheris.Fuzz()


if __name__ == "__main__":
    main()
