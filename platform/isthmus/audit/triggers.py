"""Database triggers that keep entries from being changed or removed, past the ORM too."""

from typing import LiteralString

from django.db.backends.base.schema import BaseDatabaseSchemaEditor

__all__ = ["CREATION", "REMOVAL", "install", "remove"]

_SQLITE: tuple[LiteralString, ...] = (
    """CREATE TRIGGER IF NOT EXISTS audit_entry_unchanged BEFORE UPDATE ON audit_auditentry
       BEGIN SELECT RAISE(ABORT, 'The audit trail is append-only.'); END""",
    """CREATE TRIGGER IF NOT EXISTS audit_entry_kept BEFORE DELETE ON audit_auditentry
       WHEN OLD.sequence >= (SELECT kept_from FROM audit_auditchain WHERE id = 1)
       BEGIN SELECT RAISE(ABORT, 'The audit trail is append-only.'); END""",
)
_POSTGRESQL: tuple[LiteralString, ...] = (
    """CREATE OR REPLACE FUNCTION audit_entry_append_only_v1() RETURNS trigger LANGUAGE plpgsql AS $$
       BEGIN
         IF TG_OP = 'DELETE' AND OLD.sequence < (SELECT kept_from FROM audit_auditchain WHERE id = 1) THEN
           RETURN OLD;
         END IF;
         RAISE EXCEPTION 'The audit trail is append-only.' USING ERRCODE = 'restrict_violation';
       END $$""",
    """CREATE OR REPLACE TRIGGER audit_entry_append_only BEFORE UPDATE OR DELETE ON audit_auditentry
       FOR EACH ROW EXECUTE FUNCTION audit_entry_append_only_v1()""",
)
REMOVAL: dict[str, tuple[LiteralString, ...]] = {
    "sqlite": ("DROP TRIGGER IF EXISTS audit_entry_unchanged", "DROP TRIGGER IF EXISTS audit_entry_kept"),
    "postgresql": (
        "DROP TRIGGER IF EXISTS audit_entry_append_only ON audit_auditentry",
        "DROP FUNCTION IF EXISTS audit_entry_append_only_v1",
    ),
}


CREATION: dict[str, tuple[LiteralString, ...]] = {"sqlite": _SQLITE, "postgresql": _POSTGRESQL}
"""The statements that make the triggers, by the vendor of the database."""


def install(_apps: object, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Make the triggers, as a step of a migration."""
    for statement in CREATION.get(schema_editor.connection.vendor, ()):
        schema_editor.execute(statement, params=None)


def remove(_apps: object, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Undo `install`."""
    for statement in REMOVAL.get(schema_editor.connection.vendor, ()):
        schema_editor.execute(statement, params=None)
