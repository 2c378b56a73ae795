"""Statement triggers with transition tables: one INSERT a statement, however many rows it changes.

The rows go in as `to_jsonb` makes them, whatever columns the table has at that moment, so that a migration which adds
or removes one breaks no write. They are compared as they are stored (`*<>`), whatever types they have; a primary key
that changes shows as a row that went and one that came.
"""

import hashlib
from collections.abc import Iterable

from psycopg import sql

from isthmus.objects.capture.context import RAW_TABLE, SETTING
from isthmus.objects.capture.triggers.plan import TriggerPlan

__all__ = ["FOUNDATION", "creation", "name_of", "removal", "snapshot"]

FOUNDATION = (
    # The number of a transaction alone would come back after a restore into another server.
    """
CREATE OR REPLACE FUNCTION isthmus_transaction_key() RETURNS uuid LANGUAGE sql STABLE PARALLEL RESTRICTED AS $$
  SELECT md5(pg_current_xact_id()::text || ':' || extract(epoch FROM transaction_timestamp())::text)::uuid
$$
""",
    # Whoever empties this very table empties the database (`flush`): nobody is to be told of each table.
    """
CREATE OR REPLACE FUNCTION isthmus_note_flush() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM set_config('isthmus.is_flushing', 'yes', true);
  RETURN NULL;
END $$
""",
    f"""
CREATE OR REPLACE TRIGGER isthmus_flush BEFORE TRUNCATE ON {RAW_TABLE}
  FOR EACH STATEMENT EXECUTE FUNCTION isthmus_note_flush()
""",
)
"""Made once, by a migration: what all triggers share."""

_ENTRY = f"""INSERT INTO {RAW_TABLE}
      (transaction_key, object_name, operation, record_pk, old_values, new_values, context, created_at)"""

_FUNCTION = """
CREATE OR REPLACE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql AS $capture$
DECLARE
  transaction_key uuid := isthmus_transaction_key();
  context text := coalesce(current_setting({setting}, true), '');
  at timestamptz := clock_timestamp();
BEGIN
  IF TG_OP = 'INSERT' THEN
    {entry}
    SELECT transaction_key, {object}, 'I', n.{pk}, NULL, to_jsonb(n) - {hidden}::text[], context, at FROM new_rows n;
  ELSIF TG_OP = 'UPDATE' THEN
    {entry}
    SELECT transaction_key, {object},
           CASE WHEN o.{pk} IS NULL THEN 'I' WHEN n.{pk} IS NULL THEN 'D' ELSE 'U' END,
           coalesce(n.{pk}, o.{pk}), to_jsonb(o) - {hidden}::text[], to_jsonb(n) - {hidden}::text[], context, at
    FROM old_rows o FULL JOIN new_rows n ON o.{pk} = n.{pk}
    WHERE (n *<> o) IS NOT FALSE
    ORDER BY 4;
  ELSIF TG_OP = 'DELETE' THEN
    {entry}
    SELECT transaction_key, {object}, 'D', o.{pk}, to_jsonb(o) - {hidden}::text[], NULL, context, at
    FROM old_rows o ORDER BY o.{pk};
  ELSIF coalesce(current_setting('isthmus.is_flushing', true), '') = '' THEN
    {entry}
    VALUES (transaction_key, {object}, 'T', NULL, NULL, NULL, context, at);
  END IF;
  RETURN NULL;
END $capture$
"""

_TRIGGERS = {
    "insert": "AFTER INSERT ON {table} REFERENCING NEW TABLE AS new_rows",
    "update": "AFTER UPDATE ON {table} REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows",
    "delete": "AFTER DELETE ON {table} REFERENCING OLD TABLE AS old_rows",
    "truncate": "AFTER TRUNCATE ON {table}",
}


def name_of(table: str) -> str:
    """Return the name of a table's trigger function, with which the names of its triggers begin."""
    name = f"isthmus_capture_{table}"
    # PostgreSQL cuts names after 63 bytes; ` _truncate` has to fit.
    return name if len(name) <= 53 else f"{name[:40]}_{hashlib.sha256(table.encode()).hexdigest()[:12]}"


def creation(plan: TriggerPlan) -> list[str]:
    """Return the statements that make (or renew) the triggers of a table."""
    function = name_of(plan.table)
    parts = {
        "function": sql.Identifier(function),
        "setting": sql.Literal(SETTING),
        "entry": sql.SQL(_ENTRY),
        "object": sql.Literal(plan.object_name),
        "pk": sql.Identifier(plan.primary_key),
        "hidden": sql.Literal(_array(plan.hidden)),
    }
    statements = [sql.SQL(_FUNCTION).format(**parts).as_string()]
    for event, when in _TRIGGERS.items():
        statement = sql.SQL(
            "CREATE OR REPLACE TRIGGER {trigger} " + when + " FOR EACH STATEMENT EXECUTE FUNCTION {function}()"
        ).format(
            trigger=sql.Identifier(f"{function}_{event}"),
            table=sql.Identifier(plan.table),
            function=sql.Identifier(function),
        )
        statements.append(statement.as_string())
    return statements


def snapshot(plan: TriggerPlan) -> str:
    """Return the statement that notes what rows hold, of those after a primary key the given number.

    The rows are locked against changes: what changes them later is noted later. Returns their primary keys.
    """
    statement = sql.SQL("""
{entry}
SELECT isthmus_transaction_key(), {object}, 'S', n.{pk}, NULL, to_jsonb(n) - {hidden}::text[],
       coalesce(current_setting({setting}, true), ''), clock_timestamp()
FROM (SELECT * FROM {table} WHERE {pk} > %s ORDER BY {pk} LIMIT %s FOR SHARE) n ORDER BY n.{pk}
RETURNING record_pk
""")
    return statement.format(
        entry=sql.SQL(_ENTRY),
        object=sql.Literal(plan.object_name),
        pk=sql.Identifier(plan.primary_key),
        hidden=sql.Literal(_array(plan.hidden)),
        setting=sql.Literal(SETTING),
        table=sql.Identifier(plan.table),
    ).as_string()


def removal(table: str) -> list[str]:
    """Return the statements that take the triggers of a table away."""
    return [sql.SQL("DROP FUNCTION IF EXISTS {}() CASCADE").format(sql.Identifier(name_of(table))).as_string()]


def _array(names: Iterable[str]) -> str:
    """Return an array of texts as PostgreSQL writes one."""
    quoted = ('"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"' for name in names)
    return "{" + ",".join(quoted) + "}"
