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
    "AuthorizationRequest",
    "Certificate",
    "ClientAuthentication",
    "ConnectionState",
    "ExternalCredential",
    "IdentityProvider",
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


class ClientAuthentication(models.TextChoices):
    """How we prove ourselves to an identity provider."""

    HEADER = "header", "Secret in the Authorization header"
    BODY = "body", "Secret in the body"
    PRIVATE_KEY_JWT = "private_key_jwt", "Signed assertion (private_key_jwt)"
    NONE = "none", "None: a public client"


class Certificate(models.Model):
    """A certificate of ours with its private key: proves us in mutual TLS and signs assertions and tokens."""

    id = models.UUIDField(primary_key=True, default=ids.new_uuid, editable=False)
    name = models.CharField(max_length=80, unique=True, validators=[validate_api_name])
    label = models.CharField(max_length=120, blank=True)
    certificate_pem = models.TextField(
        blank=True, editable=False, help_text="The certificate and those that lead to its authority. Public."
    )
    private_key = EncryptedTextField()
    signing_request_pem = models.TextField(blank=True, editable=False, help_text="Waits to be signed by an authority.")
    subject = models.CharField(max_length=500, blank=True, editable=False)
    issuer = models.CharField(max_length=500, blank=True, editable=False)
    serial_number = models.CharField(max_length=60, blank=True, editable=False)
    key_type = models.CharField(max_length=40, blank=True, editable=False)
    fingerprint = models.CharField(max_length=64, blank=True, editable=False, help_text="SHA-256.")
    not_before = models.DateTimeField(null=True, blank=True, editable=False)
    not_after = models.DateTimeField(null=True, blank=True, editable=False)
    replaced_at = models.DateTimeField(default=clock.now, editable=False)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.label or self.name


class IdentityProvider(models.Model):
    """Who issues tokens to us (an *external auth identity provider*). Any number of external credentials share one."""

    id = models.UUIDField(primary_key=True, default=ids.new_uuid, editable=False)
    name = models.CharField(max_length=80, unique=True, validators=[validate_api_name])
    label = models.CharField(max_length=120, blank=True)
    issuer = models.CharField(
        max_length=500, blank=True, help_text="With an issuer the endpoints are discovered; without, enter them."
    )
    authorization_endpoint = models.CharField(max_length=500, blank=True)
    token_endpoint = models.CharField(max_length=500, blank=True)
    revocation_endpoint = models.CharField(max_length=500, blank=True)
    introspection_endpoint = models.CharField(max_length=500, blank=True)
    jwks_uri = models.CharField("JWKS URI", max_length=500, blank=True)
    metadata = models.JSONField(default=dict, blank=True, editable=False, help_text="What the issuer says of itself.")
    discovered_at = models.DateTimeField(null=True, blank=True, editable=False)
    client_id = models.CharField(max_length=500, help_text="As whom the provider knows us.")
    client_authentication = models.CharField(
        max_length=20, choices=ClientAuthentication.choices, default=ClientAuthentication.HEADER
    )
    client_secret = EncryptedTextField(null=True, blank=True)  # type: ignore[misc]  # the field's type has one form; reads say None
    client_secret_set_at = models.DateTimeField(null=True, blank=True, editable=False)
    certificate = models.ForeignKey(
        Certificate,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="identity_providers",
        help_text="Signs the assertion, where that is how we prove ourselves.",
    )
    assertion_audience = models.CharField(
        max_length=500, blank=True, help_text="Empty: the issuer, or the token endpoint."
    )
    allow_internal_addresses = models.BooleanField(
        default=False, help_text="The provider is in the house: private addresses and plain http."
    )

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.label or self.name


class ExternalCredential(models.Model):
    """How to authenticate at a system: a protocol and its settings, which hold no secrets."""

    name = models.CharField(
        max_length=80, unique=True, validators=[validate_api_name], help_text="Stable API name: `Acme_OAuth`."
    )
    label = models.CharField(max_length=120, blank=True)
    protocol = models.CharField(max_length=60, help_text="Name of an authentication protocol.")
    settings = models.JSONField(default=dict, blank=True, help_text="The protocol's options that are no secrets.")
    identity_provider = models.ForeignKey(
        IdentityProvider,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="external_credentials",
        help_text="Gives endpoints that the settings leave open, and the client of the authorization code.",
    )

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
    client_certificate = models.ForeignKey(
        Certificate,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="named_credentials",
        help_text="Shown to the system when it asks who we are (mutual TLS).",
    )
    ca_bundle = models.TextField(
        "certificate authorities",
        blank=True,
        help_text="PEM. The authorities to trust for this system; empty: the public ones.",
    )

    objects = NamedCredentialQuerySet.as_manager()

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.label or self.name

    def clean(self) -> None:
        if self.principal and self.principal.external_credential_id != self.external_credential_id:
            raise ValidationError({"principal": "The principal belongs to another external credential."})


class ConnectionState(models.TextChoices):
    """What is known of one grant."""

    NOT_CONNECTED = "not_connected", "Not connected"
    CONNECTED = "connected", "Connected"
    IN_DOUBT = "in_doubt", "In doubt"
    FAILED = "failed", "Failed"


class StoredToken(models.Model):
    """The tokens of a principal (or of one user at a per-user principal), and who is fetching the next one."""

    id = models.UUIDField(primary_key=True, default=ids.new_uuid, editable=False)
    principal = models.ForeignKey(Principal, on_delete=models.CASCADE, related_name="tokens")
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, null=True, blank=True, related_name="+"
    )
    access_token = EncryptedTextField(null=True)  # type: ignore[misc]  # the field's type has one form; reads say None
    refresh_token = EncryptedTextField(null=True)  # type: ignore[misc]  # as above
    previous_refresh_token = EncryptedTextField(null=True)  # type: ignore[misc]  # as above
    scope = models.TextField(blank=True)
    connected_at = models.DateTimeField(null=True, blank=True, help_text="When a person consented.")
    connected_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    in_doubt_since = models.DateTimeField(
        null=True, blank=True, help_text="When a token request was sent whose answer is not known."
    )
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

    @property
    def state(self) -> ConnectionState:
        """What a person should know of it."""
        if self.failure_code and self.access_token is None and self.refresh_token is None:
            return ConnectionState.FAILED
        if self.refresh_token is None and self.access_token is None:
            return ConnectionState.NOT_CONNECTED
        if self.in_doubt_since is not None:
            return ConnectionState.IN_DOUBT
        return ConnectionState.FAILED if self.failure_code else ConnectionState.CONNECTED


class AuthorizationRequest(models.Model):
    """A person who was sent to an identity provider's page and has not come back yet. Used once, then over."""

    id = models.UUIDField(primary_key=True, default=ids.new_uuid, editable=False)
    state_hash = models.CharField(max_length=64, unique=True)
    principal = models.ForeignKey(Principal, on_delete=models.CASCADE, related_name="+")
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.CASCADE,
        null=True,
        related_name="+",
        help_text="Whose grant it will be at a per-user principal; empty at a named one.",
    )
    started_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    code_verifier = EncryptedTextField()
    return_to = models.CharField(max_length=500)
    started_at = models.DateTimeField(default=clock.now)
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-started_at"]

    def __str__(self) -> str:
        return f"{self.principal} {self.started_at:%Y-%m-%d %H:%M}"
