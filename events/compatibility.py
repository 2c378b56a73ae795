"""Whether a definition may take the place of the one before it.

Publishers and subscribers of both versions run side by side during a deployment, and kept events were written with the
old one. So a publisher that knows only the old version must not be refused, and a field must not change its meaning.
Fields may come (not required, or with a default), go, become longer, and cease to be required.
"""

from events.avro import AvroSchema, PlainField

__all__ = ["incompatibilities"]

_TEXTS = {"Text", "StringPlusClob"}


def incompatibilities(old: AvroSchema, new: AvroSchema) -> list[str]:
    """Return what keeps `new` from following `old`, one sentence each; nothing when it may."""
    before = {field.name: field for field in old.plain_fields()}
    problems = (_problem(before.get(field.name), field) for field in new.plain_fields())
    return [problem for problem in problems if problem]


def _problem(before: PlainField | None, field: PlainField) -> str:
    is_required = not field.is_nullable and not field.has_default
    if before is None:
        if is_required:
            return (
                f"{field.name} is new and required: whoever does not know it could publish no more. Give it a default."
            )
        return ""
    if before.avro_type != field.avro_type or not _same_meaning(before, field):
        return (
            f"{field.name} was a {before.data_type} and would be a {field.data_type}. Add another field, "
            "or take this one away in a version between."
        )
    if before.is_nullable and is_required:
        return f"{field.name} was not required: whoever leaves it out could publish no more. Give it a default."
    return ""


def _same_meaning(before: PlainField, field: PlainField) -> bool:
    return before.data_type == field.data_type or {before.data_type, field.data_type} <= _TEXTS
