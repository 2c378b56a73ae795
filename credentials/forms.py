"""Forms made from the options that a protocol declares. Secrets go in through them and never come out."""

from collections.abc import Iterable, Mapping
from typing import Any

from django import forms
from django.contrib.auth import get_user_model
from django.utils.timesince import timesince
from unfold.widgets import (
    UnfoldAdminCheckboxSelectMultipleWidget,
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminPasswordWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
    UnfoldBooleanSwitchWidget,
)

from credentials import actions
from credentials.errors import CredentialRefused
from credentials.models import (
    Certificate,
    ExternalCredential,
    IdentityProvider,
    Principal,
    PrincipalKind,
    PrincipalSecret,
)
from credentials.protocols.base import AuthenticationProtocol
from credentials.protocols.options import ProtocolOption, cleaned_secrets, problem_with_url
from credentials.registry import all_protocols, get_protocol
from isthmus import clock
from isthmus.vault.errors import VaultError
from isthmus.vault.secret import MASK

__all__ = [
    "FORGET_FIELD",
    "OWNER_FIELD",
    "ExternalCredentialForm",
    "IdentityProviderForm",
    "PrincipalForm",
    "description_of",
    "external_credential_form",
    "principal_form",
    "secret_field_name",
    "secret_options_of",
    "setting_field_name",
]

OWNER_FIELD = "secrets_of"
FORGET_FIELD = "forget_secrets"


def setting_field_name(protocol: type[AuthenticationProtocol], option: ProtocolOption) -> str:
    """Return the name of an option's input; the protocol is in it because a new credential shows them all."""
    return f"setting__{protocol.name}__{option.name}"


def secret_field_name(option: ProtocolOption) -> str:
    """Return the name of a secret's input."""
    return f"secret__{option.name}"


def description_of(row: PrincipalSecret) -> str:
    """Return what a screen tells about a secret: fingerprint, age and last use."""
    try:
        fingerprint = row.value.fingerprint
    except VaultError:
        return "Set, but it does not open with the present keys. Enter it again."
    now = clock.now()
    used = f"{timesince(row.last_used_at, now)} ago" if row.last_used_at else "never"
    return f"Set {timesince(row.set_at, now)} ago, last used: {used}. Fingerprint {fingerprint}."


class ExternalCredentialForm(forms.ModelForm):  # type: ignore[type-arg]  # not subscriptable at run time
    """Name, label, protocol, and the settings of the chosen protocol."""

    cleaned_settings: dict[str, Any]

    class Meta:
        model = ExternalCredential
        fields = ("name", "label", "protocol", "identity_provider")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.pk:
            protocol = get_protocol(self.instance.protocol)
            for option in protocol.setting_options():
                self.initial[setting_field_name(protocol, option)] = self.instance.settings.get(
                    option.name, option.default
                )

    def clean(self) -> dict[str, Any]:
        """Check the settings of the chosen protocol; those of the others are of no interest."""
        cleaned = super().clean() or self.cleaned_data
        name = self.instance.protocol if self.instance.pk else cleaned.get("protocol")
        if not name:
            return cleaned
        protocol = get_protocol(name)
        fields = {option.name: setting_field_name(protocol, option) for option in protocol.setting_options()}
        given = {option: cleaned[field] for option, field in fields.items() if field in cleaned}
        try:
            self.cleaned_settings = actions.checked_settings(protocol.name, given, cleaned.get("identity_provider"))
        except CredentialRefused as error:
            for option in error.fields:
                self.add_error(
                    "identity_provider" if option == "identity_provider" else fields.get(option), error.message
                )
        return cleaned


class PrincipalForm(forms.ModelForm):  # type: ignore[type-arg]  # not subscriptable at run time
    """A principal and inputs for its secrets: an empty one, and one that holds the mask, changes nothing."""

    new_secrets: Mapping[str, str]
    forgotten: list[str]

    class Meta:
        model = Principal
        fields = ("external_credential", "name", "kind", "sequence")

    def clean(self) -> dict[str, Any]:
        """Check the secrets that were entered."""
        cleaned = super().clean() or self.cleaned_data
        self.new_secrets = {}
        self.forgotten = [name for name in cleaned.get(FORGET_FIELD) or [] if not cleaned.get(f"secret__{name}")]
        if not self.instance.pk:
            return cleaned
        options = secret_options_of(self.instance)
        fields = {option.name: secret_field_name(option) for option in options}
        entered = {name: cleaned.get(field) for name, field in fields.items()}
        try:
            self.new_secrets = cleaned_secrets(
                options, {name: value for name, value in entered.items() if value and not _is_mask(value)}
            )
        except CredentialRefused as error:
            for name in error.fields:
                self.add_error(fields.get(name), error.message)
        if self.new_secrets and OWNER_FIELD in self.fields and not cleaned.get(OWNER_FIELD):
            self.add_error(OWNER_FIELD, "Say whose secrets these are.")
        return cleaned


class IdentityProviderForm(forms.ModelForm):  # type: ignore[type-arg]  # not subscriptable at run time
    """An identity provider, and an input for its client secret."""

    new_client_secret = forms.CharField(
        label="Client secret",
        required=False,
        strip=False,
        widget=UnfoldAdminPasswordWidget(attrs={"autocomplete": "new-password"}, render_value=False),
    )

    class Meta:
        model = IdentityProvider
        fields = (
            "name", "label", "issuer", "allow_internal_addresses", "client_id", "client_authentication", "certificate",
            "assertion_audience", "authorization_endpoint", "token_endpoint", "revocation_endpoint",
            "introspection_endpoint", "jwks_uri",
        )  # fmt: skip

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        secret = self.instance.client_secret if not self.instance._state.adding else None  # noqa: SLF001
        told = "Not set yet."
        if secret is not None:
            try:
                fingerprint = secret.fingerprint
                age = timesince(self.instance.client_secret_set_at, clock.now())
                told = f"Set {age} ago. Fingerprint {fingerprint}. Leave it empty to keep it."
            except VaultError:
                told = "Set, but it does not open with the present keys. Enter it again."
        self.fields["new_client_secret"].help_text = told

    def clean_new_client_secret(self) -> str:
        """A mask that was sent back is no secret."""
        given: str = self.cleaned_data["new_client_secret"]
        return "" if _is_mask(given) else given

    def clean(self) -> dict[str, Any]:
        """Refuse addresses that carry more than an address."""
        cleaned = super().clean() or self.cleaned_data
        if not cleaned.get("issuer") and not cleaned.get("token_endpoint"):
            self.add_error("issuer", "Give an issuer to discover the endpoints of, or enter the token endpoint.")
        for name in ("issuer", "authorization_endpoint", "token_endpoint", "revocation_endpoint"):
            if cleaned.get(name) and (wrong := problem_with_url(str(cleaned[name]))):
                self.add_error(name, wrong)
        return cleaned


def _is_mask(value: str) -> bool:
    """Return whether it stands for a secret on a screen: asterisks or bullets."""
    return len(value) > 2 and not value.strip("*•●")


def external_credential_form(protocols: Iterable[type[AuthenticationProtocol]]) -> type[ExternalCredentialForm]:
    """Return the form with inputs for the settings of these protocols."""
    declared: dict[str, Any] = {
        setting_field_name(protocol, option): _setting_input(option)
        for protocol in protocols
        for option in protocol.setting_options()
    }
    choices = [("", "Choose one"), *((protocol.name, protocol.label) for protocol in all_protocols())]
    declared["protocol"] = forms.ChoiceField(choices=choices, widget=UnfoldAdminSelectWidget())
    return type("ExternalCredentialForm", (ExternalCredentialForm,), declared)


def principal_form(principal: Principal | None) -> type[PrincipalForm]:
    """Return the form with inputs for the secrets of `principal` (none for one that is not made yet)."""
    if principal is None or principal.kind == PrincipalKind.ANONYMOUS or not secret_options_of(principal):
        return PrincipalForm
    is_per_user = principal.kind == PrincipalKind.PER_USER
    rows = {} if is_per_user else {row.name: row for row in PrincipalSecret.objects.of(principal, None)}
    declared: dict[str, Any] = {
        secret_field_name(option): _secret_input(option, rows.get(option.name))
        for option in secret_options_of(principal)
    }
    if rows:
        declared[FORGET_FIELD] = forms.MultipleChoiceField(
            choices=[(name, name) for name in rows],
            required=False,
            label="Forget",
            widget=UnfoldAdminCheckboxSelectMultipleWidget(),
            help_text="What is ticked is deleted; it cannot be brought back.",
        )
    if is_per_user:
        declared[OWNER_FIELD] = forms.ModelChoiceField(
            get_user_model().objects.filter(is_active=True),
            required=False,
            label="Secrets of",
            widget=UnfoldAdminSelectWidget(),
            help_text="The user whose secrets are entered below.",
        )
    return type("PrincipalForm", (PrincipalForm,), declared)


def secret_options_of(principal: Principal) -> list[ProtocolOption]:
    """Return what a principal's page asks for; nothing while the external credential's settings do not fit."""
    external = principal.external_credential
    try:
        return get_protocol(external.protocol).secret_options(external.settings)
    except CredentialRefused:
        return []


def _setting_input(option: ProtocolOption) -> forms.Field:
    common: dict[str, Any] = {
        "label": option.label,
        "initial": option.default,
        "help_text": option.help_text,
        "required": False,  # the protocol's own check tells what is missing, for the chosen protocol only
    }
    if option.type == "checkbox":
        return forms.BooleanField(widget=UnfoldBooleanSwitchWidget(), **common)
    if option.type == "number":
        return forms.IntegerField(widget=UnfoldAdminIntegerFieldWidget(), **common)
    if option.choices:
        return forms.ChoiceField(choices=list(option.choices), widget=UnfoldAdminSelectWidget(), **common)
    if option.type == "certificate":
        names = Certificate.objects.values_list("name", "label")
        return forms.ChoiceField(
            choices=lambda: [("", "None"), *((name, label or name) for name, label in names.all())],
            widget=UnfoldAdminSelectWidget(),
            **common,
        )
    if option.type == "principal":
        principals = Principal.objects.select_related("external_credential")
        return forms.ChoiceField(
            choices=lambda: [("", "None"), *((each.target, each.target) for each in principals.all())],
            widget=UnfoldAdminSelectWidget(),
            **common,
        )
    if option.type == "long_text":
        return _LinesField(widget=UnfoldAdminTextareaWidget(attrs={"rows": 3}), **common)
    return forms.CharField(widget=UnfoldAdminTextInputWidget(), **common)


class _LinesField(forms.CharField):
    """A text of lines: browsers send CR and LF."""

    def to_python(self, value: Any) -> Any:
        text = super().to_python(value)
        return text.replace("\r\n", "\n") if isinstance(text, str) else text


def _secret_input(option: ProtocolOption, row: PrincipalSecret | None) -> forms.Field:
    is_set = row is not None
    told = description_of(row) if row else "Not set yet."
    widget = UnfoldAdminPasswordWidget(
        attrs={"autocomplete": "new-password", "placeholder": MASK if is_set else ""}, render_value=False
    )
    return forms.CharField(
        label=option.label,
        required=False,
        strip=False,
        widget=widget,
        help_text=" ".join(part for part in (option.help_text, told, "Leave it empty to keep it." * is_set) if part),
    )
