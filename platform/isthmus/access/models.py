"""Who may do what: permission sets and their grants, whom they are assigned to, and the programs that call us."""

from urllib.parse import urlsplit

from django.conf import settings
from django.db import models
from oauth2_provider.models import AbstractApplication

from isthmus import clock, ids
from isthmus.access.client_address import is_inside
from isthmus.vault.fields import EncryptedTextField

__all__ = [
    "ApiClient",
    "ApiClientSecret",
    "ApiUse",
    "Approval",
    "Flow",
    "Grant",
    "PermissionSet",
    "PermissionSetAssignment",
    "RecoveryCode",
    "Scope",
    "ShippedPermissionSet",
    "SigningKey",
    "TotpDevice",
]


class PermissionSet(models.Model):
    """A named bundle of grants. What no permission set of a user grants is refused."""

    name = models.SlugField(max_length=80, unique=True, help_text="Stable API name, such as `Mortgage_Desk`.")
    label = models.CharField(max_length=80)
    description = models.TextField(blank=True)
    users: "models.ManyToManyField[models.Model, PermissionSetAssignment]" = models.ManyToManyField(
        settings.AUTH_USER_MODEL, through="PermissionSetAssignment", related_name="permission_sets"
    )

    class Meta:
        ordering = ["label", "name"]

    def __str__(self) -> str:
        return self.label or self.name


class ShippedPermissionSet(models.Model):
    """A permission set that came with the platform was made once: whoever changes or deletes it has the last word."""

    name = models.SlugField(max_length=80, primary_key=True)
    made_at = models.DateTimeField(default=clock.now)

    def __str__(self) -> str:
        return self.name


class Grant(models.Model):
    """One thing that a permission set allows: `action` on `target`, a thing of `kind`."""

    permission_set = models.ForeignKey(PermissionSet, on_delete=models.CASCADE, related_name="grants")
    kind = models.CharField(max_length=40)
    action = models.CharField(max_length=40)
    target = models.CharField(max_length=255)

    class Meta:
        ordering = ["kind", "target", "action"]
        constraints = [
            models.UniqueConstraint(fields=["permission_set", "kind", "target", "action"], name="grant_once"),
        ]

    def __str__(self) -> str:
        return f"{self.kind}.{self.action} {self.target}"


class PermissionSetAssignment(models.Model):
    """A user holds a permission set."""

    permission_set = models.ForeignKey(PermissionSet, on_delete=models.CASCADE, related_name="assignments")
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="permission_set_assignments"
    )
    assigned_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["permission_set", "user"], name="permission_set_assigned_once"),
        ]

    def __str__(self) -> str:
        return f"{self.permission_set} → {self.user}"


class Flow(models.TextChoices):
    """How a client gets its tokens."""

    CLIENT_CREDENTIALS = "client_credentials", "Client credentials: acts as the run-as user"
    AUTHORIZATION_CODE = "authorization_code", "Authorization code: a person signs in and agrees"
    JWT_BEARER = "jwt_bearer", "JWT bearer: signs for a user who agreed before"
    PASSWORD = "password", "User name and password, for old clients"


class Scope(models.TextChoices):
    """What a token is for."""

    API = "api", "Use the API as you"
    WEB = "web", "Open pages as you"
    REFRESH_TOKEN = "refresh_token", "Stay signed in until you take that back"
    OPENID = "openid", "Know who you are"
    PROFILE = "profile", "Know your name"
    EMAIL = "email", "Know your e-mail address"
    ID = "id", "Read your identity address"
    FULL = "full", "Everything that you may do"


_FLOW_OF_GRANT_TYPE = {
    AbstractApplication.GRANT_AUTHORIZATION_CODE: Flow.AUTHORIZATION_CODE,
    AbstractApplication.GRANT_CLIENT_CREDENTIALS: Flow.CLIENT_CREDENTIALS,
    AbstractApplication.GRANT_PASSWORD: Flow.PASSWORD,
}


class ApiClient(AbstractApplication):
    """A program that calls the API (a *connected app*): on its own as its run-as user (`user`), or for people."""

    flows = models.CharField("allowed flows", max_length=200, default=Flow.CLIENT_CREDENTIALS)
    """Names of flows, separated by blanks."""
    scopes = models.CharField(max_length=200, default=Scope.API)
    """The most that its tokens may be for, separated by blanks."""
    ip_ranges = models.TextField(
        "IP ranges", blank=True, help_text="Networks that its requests may come from, one a line; empty: from anywhere."
    )
    expires_at = models.DateTimeField(
        "expires", null=True, blank=True, help_text="From then on it gets no token, and those it has are void."
    )
    certificate = models.TextField(
        blank=True, help_text="PEM certificate or public key that its JWT assertions are signed with."
    )
    requires_pkce = models.BooleanField(
        "requires PKCE", default=True, help_text="Refuse authorization codes that no code challenge protects."
    )
    rotates_refresh_tokens = models.BooleanField(
        default=True, help_text="Give a new refresh token with each use; the old one used again voids them all."
    )
    last_used_at = models.DateTimeField(null=True, blank=True)

    class Meta(AbstractApplication.Meta):
        verbose_name = "API client"
        verbose_name_plural = "API clients"

    def allows_flow(self, flow: Flow) -> bool:
        """Return whether the client may get tokens in this way."""
        return flow in self.flows.split()

    def allows_grant_type(self, *grant_types: str) -> bool:
        """Return whether the client may use one of the toolkit's grant types."""
        return any(kind in _FLOW_OF_GRANT_TYPE and self.allows_flow(_FLOW_OF_GRANT_TYPE[kind]) for kind in grant_types)

    def get_allowed_schemes(self) -> list[str]:
        """Return the schemes of its redirect addresses: plain HTTP leads back to a program on the user's machine."""
        return sorted({"https", *(urlsplit(uri).scheme.lower() for uri in self.redirect_uris.split())})

    @property
    def is_expired(self) -> bool:
        """Whether its time is over."""
        return self.expires_at is not None and self.expires_at <= clock.now()

    def allows_address(self, address: str) -> bool:
        """Return whether a request may come from this IP address."""
        ranges = self.ip_ranges.split()
        return not ranges or is_inside(address, ranges)


class ApiClientSecret(models.Model):
    """The secret of a client, sealed: the `signature` of token answers is made with it.

    `ApiClient.client_secret` holds its hash, by which it is checked.
    """

    id = models.UUIDField(primary_key=True, default=ids.new_uuid, editable=False)
    client = models.OneToOneField(ApiClient, on_delete=models.CASCADE, related_name="sealed_secret")
    secret = EncryptedTextField()

    def __str__(self) -> str:
        return f"Secret of {self.client}"


class Approval(models.Model):
    """A user agreed that a client acts for them."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    client = models.ForeignKey(ApiClient, on_delete=models.CASCADE, related_name="approvals")
    scopes = models.CharField(max_length=200)
    approved_at = models.DateTimeField(default=clock.now)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["user", "client"], name="approval_once")]

    def __str__(self) -> str:
        return f"{self.user} → {self.client}"


class SigningKey(models.Model):
    """The key that signs identity tokens."""

    id = models.UUIDField(primary_key=True, default=ids.new_uuid, editable=False)
    private_key = EncryptedTextField()
    public_key = models.JSONField(help_text="As a JSON web key.")
    created_at = models.DateTimeField(default=clock.now)

    def __str__(self) -> str:
        return str(self.id)


class ApiUse(models.Model):
    """How often somebody called something within an hour."""

    hour = models.DateTimeField()
    surface = models.CharField(max_length=20)
    target = models.CharField(max_length=300)
    user_id = models.BigIntegerField(help_text="0: nobody who said so.")
    client_id = models.BigIntegerField(help_text="0: a token that no client asked for.")
    requests = models.PositiveIntegerField()
    refused = models.PositiveIntegerField()
    failed = models.PositiveIntegerField()
    milliseconds = models.PositiveBigIntegerField()
    slowest = models.PositiveIntegerField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["hour", "surface", "target", "user_id", "client_id"], name="api_use_once")
        ]
        indexes = [models.Index(fields=["surface", "target", "hour"], name="api_use_of_target")]

    def __str__(self) -> str:
        return f"{self.surface} {self.target} {self.hour:%Y-%m-%d %H}h: {self.requests}"


class TotpDevice(models.Model):
    """The authenticator app of a user."""

    id = models.UUIDField(primary_key=True, default=ids.new_uuid, editable=False)
    user = models.OneToOneField(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    key = EncryptedTextField()
    confirmed_at = models.DateTimeField(null=True, help_text="Empty until a first code was given.")
    last_step = models.BigIntegerField(default=0, help_text="The time step of the last code; no earlier one is taken.")
    failures = models.PositiveIntegerField(default=0)
    locked_until = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"Authenticator of {self.user}"


class RecoveryCode(models.Model):
    """A code that stands in for the authenticator, once; only its hash is kept."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    digest = models.CharField(max_length=64)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["user", "digest"], name="recovery_code_once")]

    def __str__(self) -> str:
        return f"Recovery code of {self.user}"
