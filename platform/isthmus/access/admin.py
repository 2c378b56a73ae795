"""The screens on which access is set up."""

from typing import Any

import oauth2_provider.admin  # noqa: F401 - its screens must be there before they can be taken away
from django import forms
from django.contrib import admin
from django.contrib.auth.models import AbstractBaseUser
from django.db.models import Model
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.cache import add_never_cache_headers
from oauth2_provider.models import AccessToken, Grant, IDToken, RefreshToken
from unfold.admin import ModelAdmin
from unfold.decorators import action

import isthmus.access.permission_set_admin  # noqa: F401 - registers its screens
from isthmus.access.actions import (
    change_run_as_user,
    create_api_client,
    replace_client_secret,
    revoke_client_tokens,
)
from isthmus.access.errors import RunAsUserRefused
from isthmus.access.models import ApiClient
from isthmus.access.run_as import check_run_as_user

# Tokens and codes are no business of a screen, and the toolkit's own form for clients would show their secrets.
_HIDDEN: tuple[type[Model], ...] = (ApiClient, AccessToken, Grant, IDToken, RefreshToken)
for model in _HIDDEN:
    if admin.site.is_registered(model):
        admin.site.unregister(model)


class ApiClientForm(forms.ModelForm):  # type: ignore[type-arg]  # not subscriptable at run time
    """Name and run-as user; everything else is made, not chosen."""

    acting_user: AbstractBaseUser

    class Meta:
        model = ApiClient
        fields = ("name", "user")
        labels = {"user": "Run as"}
        help_texts = {"user": "What the client does, it does as this user, with this user's permission sets."}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in ("name", "user"):
            if name in self.fields:
                self.fields[name].required = True

    def clean(self) -> dict[str, Any]:
        """Refuse to hand out more than the person at the screen has."""
        cleaned = super().clean() or self.cleaned_data
        chosen = [user for user in (cleaned.get("user"), self.instance.user) if user is not None]
        if any(user.is_superuser for user in chosen) and not getattr(self.acting_user, "is_superuser", False):
            raise forms.ValidationError("Only a superuser may set up a client that runs as a superuser.")
        if user := cleaned.get("user"):
            try:
                check_run_as_user(user)
            except RunAsUserRefused as error:
                self.add_error("user", error.message)
        return cleaned


@admin.register(ApiClient)
class ApiClientAdmin(ModelAdmin):
    """Programs that call the API."""

    form = ApiClientForm
    fields = ("name", "user", "client_id", "created", "last_used_at")
    readonly_fields = ("client_id", "created", "last_used_at")
    autocomplete_fields = ("user",)
    list_display = ("name", "user", "client_id", "last_used_at", "created")
    list_select_related = ("user",)
    search_fields = ("name", "client_id", "user__username")
    ordering = ("name", "pk")
    actions_submit_line = ("replace_secret", "revoke_tokens")  # type: ignore[assignment]  # unfold says: an empty one

    def get_form(self, request: HttpRequest, obj: ApiClient | None = None, change: bool = False, **kwargs: Any) -> Any:
        form: Any = super().get_form(request, obj, change=change, **kwargs)
        form.acting_user = request.user
        return form

    def get_fields(self, request: HttpRequest, obj: ApiClient | None = None) -> tuple[str, ...]:
        return self.fields if obj else ("name", "user")

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        if not change:
            made, secret = create_api_client(obj.name, obj.user)
            obj.pk, obj.client_id = made.pk, made.client_id
            _keep_for_this_answer(request, secret)
            return
        if "user" in form.changed_data:
            change_run_as_user(obj, obj.user)
        super().save_model(request, obj, form, change)

    @action(description="Replace the secret", permissions=("change",))  # type: ignore[operator]  # unfold names another type
    def replace_secret(self, request: HttpRequest, obj: ApiClient) -> None:
        _keep_for_this_answer(request, replace_client_secret(obj))

    @action(description="Revoke the tokens", permissions=("change",))  # type: ignore[operator]  # unfold names another type
    def revoke_tokens(self, request: HttpRequest, obj: ApiClient) -> None:
        count = revoke_client_tokens(obj)
        self.message_user(request, f"{count} token{'' if count == 1 else 's'} revoked.")

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


def _keep_for_this_answer(request: HttpRequest, secret: str) -> None:
    request.new_client_secret = secret  # type: ignore[attr-defined]  # lives as long as this request
