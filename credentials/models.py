"""Where systems are (named credentials), how to authenticate there (external credentials) and as whom (principals)."""

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import RegexValidator
from django.db import models
from django.db.models import Q

from credentials.errors import OutsideOrigin
from credentials.origins import Origin
from credentials.querysets import NamedCredentialQuerySet, PrincipalQuerySet, PrincipalSecretQuerySet
from isthmus import clock, ids
from isthmus.vault.fields import EncryptedTextField

__all__ = [
    "ExternalCredential",
    "NamedCredential",
    "Principal",
    "PrincipalKind",
    "PrincipalSecret",
    "PrincipalStatus",
    "StoredToken",
]

validate_api_name = RegexValidator(
    r"\A[A-Za-z][A-Za-z0-9_]*\Z", "A name begins with a letter and holds only letters, digits and underscores."
)


def validate_origin(url: str) -> None:
    """Raise `ValidationError` unless `url` can be the origin of a named credential."""
    try:
        Origin.parse(url)
    except OutsideOrigin as error:
        raise ValidationError(error.message) from error


class PrincipalKind(models.TextChoices):
    """Whose secrets a principal holds."""

    NAMED = "named", "Named: one identity for everybody"
    PER_USER = "per_user", "Per user: each user has their own"
    ANONYMOUS = "anonymous", "Anonymous: no identity"


class PrincipalStatus(models.TextChoices):
    """What is known about a principal's secrets."""

    NOT_CONFIGURED = "not_configured", "Not configured"
    CONFIGURED = "configured", "Configured"
    AUTHENTICATED = "authenticated", "Authenticated"
    FAILED = "failed", "Failed"


class ExternalCredential(models.Model):
    """How to authenticate at a system: a protocol and its settings, which hold no secrets."""

    name = models.CharField(
        max_length=80, unique=True, validators=[validate_api_name], help_text="Stable API name: `Acme_OAuth`."
    )
    label = models.CharField(max_length=120, blank=True)
    protocol = models.CharField(max_length=60, help_text="Name of an authentication protocol.")
    settings = models.JSONField(default=dict, blank=True, help_text="The protocol's options that are no secrets.")

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.label or self.name


class Principal(models.Model):
    """As whom to authenticate. Who may act as it is decided by permission sets (`principal` grants)."""

    external_credential = models.ForeignKey(ExternalCredential, on_delete=models.CASCADE, related_name="principals")
    name = models.CharField(max_length=80, validators=[validate_api_name])
    kind = models.CharField(max_length=20, choices=PrincipalKind.choices, default=PrincipalKind.NAMED)
    sequence = models.PositiveSmallIntegerField(
        default=1, help_text="Where a user may use several principals, the one with the lowest number is used."
    )
    status = models.CharField(
        max_length=20, choices=PrincipalStatus.choices, default=PrincipalStatus.NOT_CONFIGURED, editable=False
    )
    status_reason = models.TextField(blank=True, editable=False)
    status_at = models.DateTimeField(null=True, blank=True, editable=False)

    objects = PrincipalQuerySet.as_manager()

    class Meta:
        ordering = ["external_credential__name", "sequence", "name"]
        constraints = [
            models.UniqueConstraint(fields=["external_credential", "name"], name="principal_named_once"),
        ]

    def __str__(self) -> str:
        return self.target

    @property
    def target(self) -> str:
        """The target of the grant that lets a permission set use it: `ExternalCredentialName.PrincipalName`."""
        return f"{self.external_credential.name}.{self.name}"


class PrincipalSecret(models.Model):
    """One secret of a principal, or of one user's own identity at a per-user principal."""

    id = models.UUIDField(primary_key=True, default=ids.new_uuid, editable=False)
    principal = models.ForeignKey(Principal, on_delete=models.CASCADE, related_name="secrets")
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.CASCADE,
        null=True,
        blank=True,
        related_name="+",
        help_text="Empty except at per-user principals.",
    )
    name = models.CharField(max_length=60, help_text="The protocol's option that it is the value of.")
    value = EncryptedTextField()
    set_at = models.DateTimeField(default=clock.now, editable=False)
    last_used_at = models.DateTimeField(null=True, blank=True, editable=False)

    objects = PrincipalSecretQuerySet.as_manager()

    class Meta:
        ordering = ["principal", "name"]
        constraints = [
            models.UniqueConstraint(
                fields=["principal", "name"], condition=Q(user__isnull=True), name="principal_secret_once"
            ),
            models.UniqueConstraint(
                fields=["principal", "user", "name"], condition=Q(user__isnull=False), name="user_secret_once"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.principal} {self.name}"


class NamedCredential(models.Model):
    """Where a system is. Code says `callout:Name/path`; the address, the login and the rights are set up here."""

    name = models.CharField(
        max_length=80, unique=True, validators=[validate_api_name], help_text="Code says callout:Name/path."
    )
    label = models.CharField(max_length=120, blank=True)
    url = models.CharField(
        "URL",
        max_length=500,
        validators=[validate_origin],
        help_text="Scheme, host, port and path prefix. No callout through this credential ever leaves it.",
    )
    external_credential = models.ForeignKey(
        ExternalCredential, on_delete=models.PROTECT, related_name="named_credentials"
    )
    principal = models.ForeignKey(
        Principal,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="named_credentials",
        help_text="Used for every callout. Empty: the first principal that the calling user may use.",
    )
    is_enabled = models.BooleanField(default=True)
    allow_internal_addresses = models.BooleanField(
        default=False, help_text="Let callouts reach private and local networks; needed for systems in the house."
    )

    objects = NamedCredentialQuerySet.as_manager()

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.label or self.name

    def clean(self) -> None:
        if self.principal and self.principal.external_credential_id != self.external_credential_id:
            raise ValidationError({"principal": "The principal belongs to another external credential."})


class StoredToken(models.Model):
    """An access token of a principal (or of one user at a per-user principal), and who is fetching the next one."""

    id = models.UUIDField(primary_key=True, default=ids.new_uuid, editable=False)
    principal = models.ForeignKey(Principal, on_delete=models.CASCADE, related_name="tokens")
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, null=True, blank=True, related_name="+"
    )
    access_token = EncryptedTextField(null=True)  # type: ignore[misc]  # the field's type has one form; reads say None
    token_type = models.CharField(max_length=40, blank=True)
    obtained_at = models.DateTimeField(null=True, blank=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    generation = models.PositiveBigIntegerField(
        default=0, help_text="Grows by one whenever a token request ends, well or badly."
    )
    token_generation = models.PositiveBigIntegerField(
        default=0, help_text="The generation that brought the kept token."
    )
    refresh_holder = models.UUIDField(null=True, blank=True, help_text="Who is fetching a token now.")
    refresh_lease_expires_at = models.DateTimeField(null=True, blank=True)
    failure_code = models.CharField(max_length=60, blank=True)
    failure_reason = models.TextField(blank=True)
    failed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["principal"]
        constraints = [
            models.UniqueConstraint(fields=["principal"], condition=Q(user__isnull=True), name="stored_token_once"),
            models.UniqueConstraint(
                fields=["principal", "user"], condition=Q(user__isnull=False), name="user_stored_token_once"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.principal} token"
