"""A model field whose column holds sealed texts and whose attribute holds a `Secret`.

class Mailbox(models.Model):
    id = models.UUIDField(primary_key=True, default=ids.new_uuid, editable=False)
    password = EncryptedTextField()

mailbox.password = "hunter2"; mailbox.save()
str(mailbox.password)      # ********
mailbox.password.reveal()  # hunter2
"""

from typing import TYPE_CHECKING, Any

from django.core import checks
from django.core.exceptions import FieldError
from django.db import models
from django.db.models.query_utils import DeferredAttribute

from isthmus.vault import keyring
from isthmus.vault.errors import SecretRefused
from isthmus.vault.secret import Sealed, Secret

__all__ = ["EncryptedTextField"]

if TYPE_CHECKING:
    _TextField = models.TextField["str | Secret | Sealed | None", "Secret"]
else:
    _TextField = models.TextField

_LOOKUPS = {"exact", "isnull"}


class _SecretAttribute(DeferredAttribute):
    """Keeps what was assigned (or read) in the instance, and hands out a `Secret` that knows its row."""

    field: "EncryptedTextField"

    def __get__(self, instance: models.Model | None, cls: type[models.Model] | None = None) -> Any:
        if instance is None:
            return self
        kept = super().__get__(instance, cls)
        if kept is None:
            return None
        context = self.field.context_of(instance)
        if isinstance(kept, Sealed):
            return Secret(None, sealed=kept.text, context=context)
        return kept.placed_at(context)

    def __set__(self, instance: models.Model, value: object) -> None:
        if isinstance(value, str):
            value = Secret(value)
        elif isinstance(value, Secret) and instance.pk is not None and value.is_at(self.field.context_of(instance)):
            # What was read from this row goes back as it was: no plaintext stays in the instance.
            value = value.as_sealed()
        elif value is not None and not isinstance(value, Secret | Sealed):
            raise TypeError(f"{self.field} takes a text or a Secret, not {type(value).__name__}.")
        instance.__dict__[self.field.attname] = value


class EncryptedTextField(_TextField):
    """A secret text. Its model has a UUID primary key with a default, because the row's identity seals the text too.

    Reading gives a `Secret` (`None` for NULL). It cannot be searched or compared in the database. Renaming the model,
    the app or the field changes the place that the texts are sealed for: such a migration must seal them again.
    """

    description = "An encrypted text"
    descriptor_class = _SecretAttribute

    def context_of(self, instance: models.Model) -> str:
        """Return the place that a secret of this row is sealed for: `app.model.field:<row identity>`."""
        return self.context_for(instance.pk)

    def context_for(self, primary_key: object) -> str:
        """Return the place for the row with `primary_key`, in whichever spelling that is given."""
        identity = self.model._meta.pk.to_python(primary_key)
        if identity is None:
            raise SecretRefused(f"{self} belongs to a row without a primary key: its secret has no place yet.")
        return f"{self.model._meta.label_lower}.{self.name}:{identity}"

    def check(self, **kwargs: Any) -> list[checks.CheckMessage]:
        return [*super().check(**kwargs), *self._check_row_identity(), *self._check_not_indexed()]

    def _check_row_identity(self) -> list[checks.CheckMessage]:
        primary_key = self.model._meta.pk
        if isinstance(primary_key, models.UUIDField) and primary_key.has_default():
            return []
        hint = "Add id = models.UUIDField(primary_key=True, default=isthmus.ids.new_uuid, editable=False)."
        text = "A model with an encrypted field needs a primary key that is known before the first save."
        return [checks.Error(text, hint=hint, obj=self, id="vault.E002")]

    def _check_not_indexed(self) -> list[checks.CheckMessage]:
        if not (self.unique or getattr(self, "db_index", False) or self.has_default()):
            return []
        text = "An encrypted field takes no index, uniqueness or default: equal secrets have different sealed texts."
        return [checks.Error(text, hint="Remove the option.", obj=self, id="vault.E003")]

    def from_db_value(self, value: str | None, expression: object, connection: object) -> Sealed | None:
        return None if value is None else Sealed(value)

    def to_python(self, value: object) -> Any:
        # Only loaded fixtures give a text here (attributes hold a Secret): what dumpdata wrote is sealed already.
        return Sealed(value) if isinstance(value, str) and keyring.is_sealed(value) else value

    def get_prep_value(self, value: object) -> Any:
        if value is None or hasattr(value, "resolve_expression"):
            return value
        if isinstance(value, Secret):
            value = value.as_sealed()
        if isinstance(value, Sealed):
            return value.text
        raise SecretRefused(f"{self} cannot be searched, nor written without its row: set it on an instance.")

    def pre_save(self, model_instance: models.Model, add: bool) -> Any:
        secret = getattr(model_instance, self.attname)
        if secret is None:
            return None
        if add and isinstance(model_instance.__dict__[self.attname], Sealed):
            # A row copied under a new identity would carry a text that never opens again: say so now (SealBroken).
            secret.reveal()
        sealed = secret.as_sealed()
        model_instance.__dict__[self.attname] = sealed
        return sealed

    def get_lookup(self, lookup_name: str) -> Any:
        if lookup_name not in _LOOKUPS:
            raise FieldError(f"{self} is encrypted: it cannot be searched with {lookup_name!r}.")
        return super().get_lookup(lookup_name)

    def value_to_string(self, obj: models.Model) -> str:
        """Return what a dump holds: the sealed text, which opens in this row only."""
        secret = self.value_from_object(obj)
        return secret.as_sealed().text if isinstance(secret, Secret) else ""

    def formfield(self, *args: Any, **kwargs: Any) -> Any:
        """Return `None`: a secret is entered through a form that was made for it, never through a model form."""
        return None
