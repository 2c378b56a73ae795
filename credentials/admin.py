"""The screens on which credentials are set up."""

from typing import Any

from django.contrib import admin, messages
from django.db.models import Model, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.decorators import method_decorator
from django.utils.html import format_html, format_html_join
from django.views.decorators.debug import sensitive_post_parameters, sensitive_variables
from unfold.admin import ModelAdmin
from unfold.decorators import display

from credentials import actions, connections, discovery, provider_actions
from credentials.certificate_forms import AddCertificateForm, ReplaceCertificateForm
from credentials.conf import options
from credentials.errors import CredentialError
from credentials.forms import (
    FORGET_FIELD,
    OWNER_FIELD,
    IdentityProviderForm,
    description_of,
    external_credential_form,
    principal_form,
    setting_field_name,
)
from credentials.models import (
    Certificate,
    ExternalCredential,
    IdentityProvider,
    NamedCredential,
    Principal,
    PrincipalKind,
    PrincipalSecret,
    PrincipalStatus,
    StoredToken,
)
from credentials.registry import all_protocols, get_protocol
from isthmus import clock

__all__ = [
    "CertificateAdmin",
    "ExternalCredentialAdmin",
    "IdentityProviderAdmin",
    "NamedCredentialAdmin",
    "PrincipalAdmin",
]

_Fieldsets = list[tuple[Any, Any]]


@admin.register(ExternalCredential)
class ExternalCredentialAdmin(ModelAdmin):
    """How to authenticate at a system. Grants and secrets hang on name and protocol, so these stay."""

    list_display = ("name", "label", "protocol_label")
    list_filter = ("protocol",)
    search_fields = ("name", "label")
    # unfold shows an input only while its condition holds (an expression of Alpine.js). On the page of an existing one
    # the protocol is no input: there the page has the settings of that protocol only, and all are shown.
    conditional_fields = {
        setting_field_name(protocol, option): f"typeof protocol === 'undefined' || protocol == '{protocol.name}'"
        for protocol in all_protocols()
        for option in protocol.setting_options()
    }

    @display(description="Protocol", ordering="protocol")
    def protocol_label(self, obj: ExternalCredential) -> str:
        return next((each.label for each in all_protocols() if each.name == obj.protocol), obj.protocol)

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        form = external_credential_form([get_protocol(obj.protocol)] if obj else all_protocols())
        return super().get_form(request, obj, change=change, form=form, **kwargs)

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> tuple[str, ...]:
        return ("name", "protocol") if obj else ()

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> _Fieldsets:
        protocols = [get_protocol(obj.protocol)] if obj else all_protocols()
        settings = [
            setting_field_name(protocol, option) for protocol in protocols for option in protocol.setting_options()
        ]
        main: _Fieldsets = [(None, {"fields": ("name", "label", "protocol", "identity_provider")})]
        return [*main, ("Settings", {"fields": settings})] if settings else main

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        if not change:
            made = actions.create_external_credential(
                obj.name,
                protocol=obj.protocol,
                label=obj.label,
                settings=form.cleaned_settings,
                identity_provider=obj.identity_provider,
            )
            obj.pk = made.pk
            return
        super().save_model(request, obj, form, change)
        actions.change_settings(obj, form.cleaned_settings, identity_provider=obj.identity_provider)


@admin.register(Principal)
class PrincipalAdmin(ModelAdmin):
    """As whom to authenticate. A new one is made first; then its page asks for the secrets of its protocol."""

    list_display = ("target", "external_credential", "kind", "shown_status", "status_reason", "sequence")
    list_filter = ("external_credential", "kind", "status")
    list_select_related = ("external_credential",)
    search_fields = ("name", "external_credential__name")
    actions = ("discard_tokens",)
    change_form_outer_after_template = "credentials/admin/connection.html"  # type: ignore[assignment]
    _states = ("shown_status", "status_reason", "status_at", "token_state")

    def _connection_panel(self, request: HttpRequest, object_id: str | None) -> dict[str, Any]:
        """What the panel for connecting shows; nothing where nobody has to consent."""
        rows = Principal.objects.select_related("external_credential")
        principal = rows.filter(pk=object_id).first() if object_id and object_id.isdigit() else None
        if principal is None or not get_protocol(principal.external_credential.protocol).is_interactive:
            return {}
        owner = request.user.pk if principal.kind == PrincipalKind.PER_USER else None
        token = StoredToken.objects.filter(
            Q(user=None) if owner is None else Q(user=owner), principal=principal
        ).first()
        return {
            "connectable": principal,
            "grant_state": token.state.label if token else "Not connected",
            "grant": token,
            "redirect_uri": connections.redirect_uri(principal),
        }

    @display(
        description="Status",
        ordering="status",
        label={
            str(PrincipalStatus.NOT_CONFIGURED.label): "warning",
            str(PrincipalStatus.CONFIGURED.label): "info",
            str(PrincipalStatus.AUTHENTICATED.label): "success",
            str(PrincipalStatus.FAILED.label): "danger",
        },
    )
    def shown_status(self, obj: Principal) -> str:
        return str(PrincipalStatus(obj.status).label)

    @display(description="Access token")
    def token_state(self, obj: Principal) -> str:
        token = StoredToken.objects.filter(principal=obj, user=None, expires_at__isnull=False).first()
        if token is None or token.expires_at is None:
            return "None is kept."
        return f"Kept until {token.expires_at:%Y-%m-%d %H:%M:%S} UTC."

    @display(description="Secrets of users")
    def secrets_of_users(self, obj: Principal) -> str:
        rows = PrincipalSecret.objects.filter(principal=obj).select_related("user").order_by("user", "name")
        told = ((row.user, row.name, description_of(row)) for row in rows)
        return format_html_join("", "<div>{}, {}: {}</div>", told) or "Nobody has entered any yet."

    @admin.action(description="Discard access tokens", permissions=["change"])
    def discard_tokens(self, request: HttpRequest, queryset: QuerySet[Principal]) -> None:
        count, _per_model = StoredToken.objects.filter(principal__in=queryset).delete()
        self.message_user(request, f"Access tokens discarded: {count}.", messages.SUCCESS)

    @method_decorator([sensitive_post_parameters(), sensitive_variables()])
    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> Any:
        """Show or take the form; a report of an error in it leaves out what was entered."""
        extra = {**(extra_context or {}), **self._connection_panel(request, object_id)}
        return super().changeform_view(request, object_id, form_url, extra)

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        return super().get_form(request, obj, change=change, form=principal_form(obj), **kwargs)

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> tuple[str, ...]:
        return ("external_credential", "name", "kind", *self._states, "secrets_of_users") if obj else ()

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> _Fieldsets:
        main: _Fieldsets = [(None, {"fields": ("external_credential", "name", "kind", "sequence")})]
        if obj is None:
            return main
        inputs = [
            name for name in principal_form(obj).base_fields if name in {OWNER_FIELD, FORGET_FIELD} or "__" in name
        ]
        if obj.kind == PrincipalKind.PER_USER and inputs:
            inputs = ["secrets_of_users", OWNER_FIELD, *(name for name in inputs if name != OWNER_FIELD)]
        secrets: _Fieldsets = [("Secrets", {"fields": inputs})] if inputs else []
        return [*main, *secrets, ("State", {"fields": self._states})]

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        if not change:
            made = actions.create_principal(obj.external_credential, obj.name, kind=obj.kind, sequence=obj.sequence)
            obj.pk = made.pk
            return
        super().save_model(request, obj, form, change)
        for name in form.forgotten:
            actions.forget_secret(obj, name)
        if form.new_secrets:
            actions.replace_secrets(obj, form.new_secrets, user=form.cleaned_data.get(OWNER_FIELD))

    def response_add(self, request: HttpRequest, obj: Principal, post_url_continue: str | None = None) -> HttpResponse:
        is_last_step = {"_addanother", "_popup"} & request.POST.keys() or not self.has_change_permission(request, obj)
        if is_last_step:
            return super().response_add(request, obj, post_url_continue)
        self.message_user(request, f"{obj} is made. Next, enter its secrets.", messages.SUCCESS)
        return redirect("admin:credentials_principal_change", obj.pk)


@admin.register(IdentityProvider)
class IdentityProviderAdmin(ModelAdmin):
    """Who issues tokens to us. Its client secret goes in and never comes out."""

    form = IdentityProviderForm
    list_display = ("name", "label", "issuer", "client_id", "discovered_at")
    search_fields = ("name", "label", "issuer")
    actions = ("discover",)
    fieldsets = (
        (None, {"fields": ("name", "label", "issuer", "allow_internal_addresses")}),
        (
            "Our client there",
            {
                "fields": (
                    "client_id",
                    "client_authentication",
                    "new_client_secret",
                    "certificate",
                    "assertion_audience",
                )
            },
        ),
        (
            "Endpoints",
            {
                "fields": (
                    "authorization_endpoint",
                    "token_endpoint",
                    "revocation_endpoint",
                    "introspection_endpoint",
                    "jwks_uri",
                    "discovered_at",
                ),
                "description": "Discovered from the issuer where they are left open.",
            },
        ),
    )

    @method_decorator([sensitive_post_parameters(), sensitive_variables()])
    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        """Show or take the form; a report of an error in it leaves out what was entered."""
        return super().changeform_view(request, *args, **kwargs)

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> tuple[str, ...]:
        return ("name", "discovered_at") if obj else ("discovered_at",)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        provider_actions.save_identity_provider(obj, client_secret=form.cleaned_data.get("new_client_secret") or "")
        if obj.issuer and obj.discovered_at is None:
            self._discover(request, obj)

    @admin.action(description="Discover the endpoints now", permissions=["change"])
    def discover(self, request: HttpRequest, queryset: QuerySet[IdentityProvider]) -> None:
        for provider in queryset:
            self._discover(request, provider)

    def _discover(self, request: HttpRequest, provider: IdentityProvider) -> None:
        try:
            discovery.refresh(provider)
        except CredentialError as error:
            self.message_user(request, f"{provider}: {error.message}", messages.WARNING)
        else:
            self.message_user(request, f"{provider}: endpoints discovered.", messages.SUCCESS)


@admin.register(Certificate)
class CertificateAdmin(ModelAdmin):
    """Our certificates. A key is made here or uploaded, and never shown again."""

    list_display = ("name", "label", "subject", "shown_end", "key_type")
    search_fields = ("name", "label", "subject", "fingerprint")
    _facts = (
        "subject", "issuer", "serial_number", "key_type", "fingerprint", "not_before", "shown_end", "replaced_at",
        "used_by", "shown_pem",
    )  # fmt: skip

    @display(
        description="Valid until", ordering="not_after", label={"soon": "warning", "over": "danger", "good": "success"}
    )
    def shown_end(self, obj: Certificate) -> tuple[str, str]:
        if obj.not_after is None:
            return "soon", "Waits to be signed"
        days = (obj.not_after - clock.now()).days
        state = "over" if days < 0 else "soon" if days < options.certificate_warning_days else "good"
        return state, f"{obj.not_after:%Y-%m-%d} ({days} days)"

    @display(description="Used by")
    def used_by(self, obj: Certificate) -> str:
        users = [*obj.named_credentials.all(), *obj.identity_providers.all()]
        settings = ExternalCredential.objects.filter(settings__certificate=obj.name)
        return ", ".join(str(each) for each in (*users, *settings)) or "Nothing yet"

    @display(description="Public part")
    def shown_pem(self, obj: Certificate) -> str:
        return format_html("<pre>{}</pre>", obj.certificate_pem or obj.signing_request_pem)

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        form = ReplaceCertificateForm if obj else AddCertificateForm
        return super().get_form(request, obj, change=change, form=form, **kwargs)

    conditional_fields = {
        "uploaded_certificate": "typeof how === 'undefined' || how == 'pem'",
        "uploaded_key": "typeof how === 'undefined' || how == 'pem'",
        "pkcs12_file": "typeof how === 'undefined' || how == 'pkcs12'",
        "passphrase": "typeof how === 'undefined' || how == 'pem' || how == 'pkcs12'",
        "common_name": "how == 'self_signed' || how == 'signing_request'",
        "organisation": "how == 'signing_request'",
        "key_type_choice": "how == 'self_signed' || how == 'signing_request'",
        "days": "how == 'self_signed'",
    }

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> _Fieldsets:
        if obj is None:
            return [
                (None, {"fields": ("name", "label", "how")}),
                ("Certificate", {"fields": AddCertificateForm.inputs}),
            ]
        return [
            (None, {"fields": ("name", "label")}),
            ("What it says", {"fields": self._facts}),
            ("Replace it", {"fields": ReplaceCertificateForm.inputs}),
        ]

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> tuple[str, ...]:
        return ("name", *self._facts) if obj else ()

    @method_decorator([sensitive_post_parameters(), sensitive_variables()])
    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        """Show or take the form; a report of an error in it leaves out what was entered."""
        return super().changeform_view(request, *args, **kwargs)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        made = form.carry_out()
        if made is None:
            super().save_model(request, obj, form, change)
        else:
            obj.pk, obj._state.adding = made.pk, False  # noqa: SLF001 - the row is there already


@admin.register(NamedCredential)
class NamedCredentialAdmin(ModelAdmin):
    """Where a system is. Code says its name, so that stays."""

    list_display = ("name", "label", "url", "external_credential", "principal", "is_enabled")
    list_filter = ("is_enabled", "external_credential")
    list_select_related = ("external_credential", "principal__external_credential")
    search_fields = ("name", "label", "url")
    fieldsets = (
        (None, {"fields": ("name", "label", "url", "is_enabled")}),
        ("Authentication", {"fields": ("external_credential", "principal")}),
        ("Network", {"fields": ("allow_internal_addresses", "client_certificate", "ca_bundle")}),
    )

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> tuple[str, ...]:
        return ("name",) if obj else ()

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        actions.save_named_credential(obj)

    def view_on_site(self, obj: NamedCredential) -> str:
        """The console's page: state, test of the connection, who can use it."""
        return reverse("named_credentials:detail", args=[obj.name])
