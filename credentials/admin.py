"""The screens on which credentials are set up."""

from typing import Any

from django.contrib import admin, messages
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.decorators import method_decorator
from django.utils.html import format_html_join
from django.views.decorators.debug import sensitive_post_parameters, sensitive_variables
from unfold.admin import ModelAdmin
from unfold.decorators import display

from credentials import actions
from credentials.forms import (
    OWNER_FIELD,
    description_of,
    external_credential_form,
    principal_form,
    setting_field_name,
)
from credentials.models import (
    ExternalCredential,
    NamedCredential,
    Principal,
    PrincipalKind,
    PrincipalSecret,
    PrincipalStatus,
    StoredToken,
)
from credentials.registry import all_protocols, get_protocol

__all__ = ["ExternalCredentialAdmin", "NamedCredentialAdmin", "PrincipalAdmin"]

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
    _states = ("shown_status", "status_reason", "status_at", "token_state")

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
    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        """Show or take the form; a report of an error in it leaves out what was entered."""
        return super().changeform_view(request, *args, **kwargs)

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        return super().get_form(request, obj, change=change, form=principal_form(obj), **kwargs)

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> tuple[str, ...]:
        return ("external_credential", "name", "kind", *self._states, "secrets_of_users") if obj else ()

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> _Fieldsets:
        main: _Fieldsets = [(None, {"fields": ("external_credential", "name", "kind", "sequence")})]
        if obj is None:
            return main
        inputs = [name for name in principal_form(obj).base_fields if name == OWNER_FIELD or "__" in name]
        if obj.kind == PrincipalKind.PER_USER:
            inputs = ["secrets_of_users", OWNER_FIELD, *(name for name in inputs if name != OWNER_FIELD)]
        secrets: _Fieldsets = [("Secrets", {"fields": inputs})] if inputs else []
        return [*main, *secrets, ("State", {"fields": self._states})]

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        if not change:
            made = actions.create_principal(obj.external_credential, obj.name, kind=obj.kind, sequence=obj.sequence)
            obj.pk = made.pk
            return
        super().save_model(request, obj, form, change)
        if form.new_secrets:
            actions.replace_secrets(obj, form.new_secrets, user=form.cleaned_data.get(OWNER_FIELD))

    def response_add(self, request: HttpRequest, obj: Principal, post_url_continue: str | None = None) -> HttpResponse:
        is_last_step = {"_addanother", "_popup"} & request.POST.keys() or not self.has_change_permission(request, obj)
        if is_last_step:
            return super().response_add(request, obj, post_url_continue)
        self.message_user(request, f"{obj} is made. Next, enter its secrets.", messages.SUCCESS)
        return redirect("admin:credentials_principal_change", obj.pk)


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
