"""The screens on which access is set up."""

from datetime import timedelta
from typing import Any

import oauth2_provider.admin  # noqa: F401 - its screens must be there before they can be taken away
from django import forms
from django.contrib import admin
from django.contrib.auth.models import AbstractBaseUser
from django.db.models import Model, Sum
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.cache import add_never_cache_headers
from django.utils.html import format_html_join
from django.utils.safestring import SafeString, mark_safe
from oauth2_provider.models import AccessToken, Grant, IDToken, RefreshToken
from unfold.admin import ModelAdmin
from unfold.decorators import action
from unfold.widgets import UnfoldAdminTextareaWidget

import isthmus.access.permission_set_admin  # noqa: F401 - registers its screens
from isthmus import clock
from isthmus.access.actions import (
    change_run_as_user,
    create_api_client,
    replace_client_secret,
    revoke_client,
    revoke_client_tokens,
)
from isthmus.access.client_address import ip_networks
from isthmus.access.errors import RunAsUserRefused
from isthmus.access.models import ApiClient, ApiUse, Approval, Flow, Scope
from isthmus.access.oauth.assertions import public_key
from isthmus.access.oauth.redirects import is_redirect_uri
from isthmus.access.run_as import check_run_as_user

_MOST_SHOWN = 20
_GIVEN_OTHERWISE = {"name", "user", "client_type", "flows", "scopes", "redirect_uris"}
# Tokens and codes are no business of a screen, and the toolkit's own form for clients would show their secrets.
_HIDDEN: tuple[type[Model], ...] = (ApiClient, AccessToken, Grant, IDToken, RefreshToken)
for model in _HIDDEN:
    if admin.site.is_registered(model):
        admin.site.unregister(model)


class ApiClientForm(forms.ModelForm):  # type: ignore[type-arg]  # not subscriptable at run time
    """What is chosen about a client; its id and secret are made."""

    acting_user: AbstractBaseUser

    flows = forms.MultipleChoiceField(
        label="Allowed flows", choices=Flow.choices, required=False, widget=forms.CheckboxSelectMultiple
    )
    scopes = forms.MultipleChoiceField(
        choices=Scope.choices,
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text="The most that its tokens may be for.",
    )
    redirect_uris = forms.CharField(
        label="Redirect addresses",
        required=False,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 3}),
        help_text="Where people are led after they agreed, one a line: https, http on this machine "
        "(http://localhost:1717/…), or a scheme of an app's own.",
    )

    class Meta:
        model = ApiClient
        fields = (
            "name",
            "user",
            "client_type",
            "flows",
            "scopes",
            "redirect_uris",
            "ip_ranges",
            "expires_at",
            "certificate",
            "requires_pkce",
            "rotates_refresh_tokens",
        )
        labels = {"user": "Run as", "client_type": "Kind"}
        widgets = {
            "ip_ranges": UnfoldAdminTextareaWidget(attrs={"rows": 3}),
            "certificate": UnfoldAdminTextareaWidget(attrs={"rows": 5}),
        }
        help_texts = {
            "user": "Acting on its own, the client acts as this user, with this user's permission sets.",
            "client_type": "A public client, such as a program on people's machines, cannot keep a secret.",
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "name" in self.fields:
            self.fields["name"].required = True
        for name in ("user", "client_type", "requires_pkce", "rotates_refresh_tokens"):
            if name in self.fields:
                self.fields[name].required = False
        self.initial["flows"] = (self.instance.flows or Flow.CLIENT_CREDENTIALS).split()
        self.initial["scopes"] = (self.instance.scopes or Scope.API).split()
        if not self.instance.pk:
            self.initial["client_type"] = ApiClient.CLIENT_CONFIDENTIAL

    def clean_client_type(self) -> str:
        """Return the kind; a client is confidential unless it is said not to be."""
        return str(self.cleaned_data.get("client_type") or ApiClient.CLIENT_CONFIDENTIAL)

    def clean_flows(self) -> str:
        """Return the flows as they are stored."""
        return " ".join(self.cleaned_data["flows"] or [Flow.CLIENT_CREDENTIALS])

    def clean_scopes(self) -> str:
        """Return the scopes as they are stored."""
        return " ".join(self.cleaned_data["scopes"] or [Scope.API])

    def clean_redirect_uris(self) -> str:
        """Refuse addresses to which no code may go."""
        found = self.cleaned_data["redirect_uris"].split()
        wrong = [uri for uri in found if not is_redirect_uri(uri)]
        if wrong:
            raise forms.ValidationError(f"No code may be sent to {', '.join(wrong)}.")
        return "\n".join(found)

    def clean_ip_ranges(self) -> str:
        """Refuse what names no network."""
        found = self.cleaned_data["ip_ranges"].split()
        try:
            ip_networks(found)
        except ValueError as error:
            raise forms.ValidationError(str(error)) from error
        return "\n".join(found)

    def clean_certificate(self) -> str:
        """Refuse what is no RSA key."""
        text: str = self.cleaned_data["certificate"]
        if text.strip():
            try:
                public_key(text)
            except ValueError as error:
                raise forms.ValidationError("This is no PEM certificate or public key of an RSA key.") from error
        return text

    def clean(self) -> dict[str, Any]:
        """Refuse what does not go together, and to hand out more than the person at the screen has."""
        cleaned = super().clean() or self.cleaned_data
        chosen = [user for user in (cleaned.get("user"), self.instance.user) if user is not None]
        if any(user.is_superuser for user in chosen) and not getattr(self.acting_user, "is_superuser", False):
            raise forms.ValidationError("Only a superuser may set up a client that runs as a superuser.")
        if user := cleaned.get("user"):
            try:
                check_run_as_user(user)
            except RunAsUserRefused as error:
                self.add_error("user", error.message)
        flows = cleaned.get("flows", "").split()
        if Flow.CLIENT_CREDENTIALS in flows and not cleaned.get("user") and "user" not in self.errors:
            self.add_error("user", "A client that acts on its own needs a user to run as.")
        if Flow.AUTHORIZATION_CODE in flows and not cleaned.get("redirect_uris"):
            self.add_error("redirect_uris", "People who agree must be led somewhere.")
        if Flow.JWT_BEARER in flows and not (cleaned.get("certificate") or "").strip():
            self.add_error("certificate", "Assertions are verified with this.")
        if Flow.CLIENT_CREDENTIALS in flows and cleaned.get("client_type") == ApiClient.CLIENT_PUBLIC:
            self.add_error("client_type", "A public client has no secret, so it cannot act on its own.")
        return cleaned


_SET_UP = (
    "name", "user", "client_type", "flows", "scopes", "redirect_uris", "ip_ranges", "expires_at", "certificate",
    "requires_pkce", "rotates_refresh_tokens",
)  # fmt: skip
_SHOWN = ("client_id", "created", "last_used_at", "touched", "approved_by")


@admin.register(ApiClient)
class ApiClientAdmin(ModelAdmin):
    """Programs that call the API."""

    form = ApiClientForm
    readonly_fields = _SHOWN
    autocomplete_fields = ("user",)
    list_display = ("name", "user", "flows", "client_id", "expires_at", "last_used_at")
    list_select_related = ("user",)
    search_fields = ("name", "client_id", "user__username")
    ordering = ("name", "pk")
    actions_submit_line = ("replace_secret", "revoke_everything")  # type: ignore[assignment]  # unfold says: an empty one

    def get_form(self, request: HttpRequest, obj: ApiClient | None = None, change: bool = False, **kwargs: Any) -> Any:
        form: Any = super().get_form(request, obj, change=change, **kwargs)
        form.acting_user = request.user
        return form

    def get_fields(self, request: HttpRequest, obj: ApiClient | None = None) -> tuple[str, ...]:
        return (*_SET_UP, *_SHOWN) if obj else _SET_UP

    @admin.display(description="Touched in 30 days")
    def touched(self, client: ApiClient) -> SafeString:
        """What the client called."""
        since = clock.now() - timedelta(days=30)
        rows = ApiUse.objects.filter(client_id=client.pk, hour__gt=since).order_by()
        found = rows.values_list("surface", "target").annotate(number=Sum("requests")).order_by("-number")[:_MOST_SHOWN]
        return _lines([f"{surface}: {target} ({number:,})" for surface, target, number in found])

    @admin.display(description="Approved by")
    def approved_by(self, client: ApiClient) -> SafeString:
        """Who agreed that it acts for them."""
        found = client.approvals.select_related("user").order_by("-approved_at")[:_MOST_SHOWN]
        return _lines([f"{one.user}: {one.scopes} ({one.approved_at:%Y-%m-%d})" for one in found])

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        if not change:
            given = {name: getattr(obj, name) for name in _SET_UP if name not in _GIVEN_OTHERWISE}
            made, secret = create_api_client(
                obj.name,
                obj.user,
                flows=obj.flows.split(),
                scopes=obj.scopes.split(),
                redirect_uris=obj.redirect_uris.split(),
                is_public=obj.client_type == ApiClient.CLIENT_PUBLIC,
                **given,
            )
            obj.pk, obj.client_id = made.pk, made.client_id
            if secret:
                _keep_for_this_answer(request, secret)
            return
        if "user" in form.changed_data and obj.user is not None:
            change_run_as_user(obj, obj.user)
        super().save_model(request, obj, form, change)
        if set(form.changed_data) & {"user", "flows", "scopes", "client_type"}:
            # What it holds was given under other terms.
            revoke_client_tokens(obj)

    @action(description="Replace the secret", permissions=("change",))  # type: ignore[operator]  # unfold names another type
    def replace_secret(self, request: HttpRequest, obj: ApiClient) -> None:
        _keep_for_this_answer(request, replace_client_secret(obj))

    @action(description="Revoke everything", permissions=("change",))  # type: ignore[operator]  # unfold names another type
    def revoke_everything(self, request: HttpRequest, obj: ApiClient) -> None:
        count = revoke_client(obj)
        self.message_user(request, f"{count} token{'' if count == 1 else 's'} revoked, and every approval taken back.")

    def response_add(self, request: HttpRequest, obj: ApiClient, post_url_continue: str | None = None) -> HttpResponse:
        return self._shown_once(request, obj) or super().response_add(request, obj, post_url_continue)

    def response_change(self, request: HttpRequest, obj: ApiClient) -> HttpResponse:
        return self._shown_once(request, obj) or super().response_change(request, obj)

    def _shown_once(self, request: HttpRequest, client: ApiClient) -> HttpResponse | None:
        """Return the one page that ever shows the secret, or `None` when there is no new one.

        It is the answer of the POST itself: a redirect would need a place to keep the secret in between.
        """
        secret = getattr(request, "new_client_secret", None)
        if secret is None:
            return None
        answer = TemplateResponse(
            request,
            "access/client_secret.html",
            {
                **self.admin_site.each_context(request),
                "title": f"Secret of {client.name}",
                "opts": self.opts,
                "client": client,
                "secret": secret,
                "client_url": reverse("admin:access_apiclient_change", args=[client.pk]),
            },
        )
        add_never_cache_headers(answer)
        return answer


@admin.register(Approval)
class ApprovalAdmin(ModelAdmin):
    """For whom a client may act: users who agreed, or for whom a superuser says so (JWT bearer flow)."""

    fields = ("user", "client", "scopes", "approved_at")
    readonly_fields = ("approved_at",)
    autocomplete_fields = ("user", "client")
    list_display = ("user", "client", "scopes", "approved_at")
    list_select_related = ("user", "client")
    search_fields = ("user__username", "client__name")

    def has_add_permission(self, request: HttpRequest) -> bool:
        # Whoever adds one could act as that user by a key of their own.
        return bool(getattr(request.user, "is_superuser", False))

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.has_add_permission(request)


def _lines(texts: list[str]) -> SafeString:
    return format_html_join(mark_safe("<br>"), "{}", ((text,) for text in texts)) if texts else mark_safe("—")


def _keep_for_this_answer(request: HttpRequest, secret: str) -> None:
    request.new_client_secret = secret  # type: ignore[attr-defined]  # lives as long as this request
