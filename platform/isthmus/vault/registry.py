"""Every encrypted column there is; rotation goes through this list, so no column can be forgotten."""

from dataclasses import dataclass

from django.apps import apps
from django.db import models

from isthmus.vault.fields import EncryptedTextField

__all__ = ["EncryptedColumn", "encrypted_columns"]


@dataclass(frozen=True)
class EncryptedColumn:
    """A column of sealed texts."""

    model: type[models.Model]
    field: EncryptedTextField

    @property
    def label(self) -> str:
        """`app.model.field`."""
        return f"{self.model._meta.label_lower}.{self.field.name}"


def encrypted_columns() -> list[EncryptedColumn]:
    """Return every encrypted column of every installed app, ordered by label."""
    found = [
        EncryptedColumn(model, field)
        for model in apps.get_models(include_auto_created=True)
        if model._meta.managed and not model._meta.proxy
        for field in model._meta.local_fields
        if isinstance(field, EncryptedTextField)
    ]
    return sorted(found, key=lambda column: column.label)
