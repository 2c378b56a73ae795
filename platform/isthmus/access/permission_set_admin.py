"""The screens on which permission sets are made and given to users."""

from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.auth import get_user_model
from django.contrib.auth.admin import GroupAdmin as DjangoGroupAdmin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group
from django.db.models import Count, QuerySet
from django.http import HttpRequest
from unfold.admin import ModelAdmin, TabularInline
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from isthmus.access import policy
from isthmus.access.actions.permission_sets import check_grant
from isthmus.access.errors import GrantRefused
from isthmus.access.models import Grant, PermissionSet, PermissionSetAssignment
from isthmus.access.registry import all_grant_kinds

_User = get_user_model()
for _model in (_User, Group):
    if admin.site.is_registered(_model):
        admin.site.unregister(_model)


class GrantForm(forms.ModelForm):  # type: ignore[type-arg]  # not subscriptable at run time
    """A grant whose kind, action and target go together."""

    kind = forms.ChoiceField(choices=lambda: _kind_choices(), widget=UnfoldAdminSelectWidget)
    action = forms.ChoiceField(choices=lambda: _action_choices(), widget=UnfoldAdminSelectWidget)
    target = forms.CharField(
        max_length=255,
        widget=UnfoldAdminTextInputWidget,
        help_text="A name such as Contact or Contact.Email; Contact.* for all its fields; * for everything.",
    )

    class Meta:
        model = Grant
        fields = ("kind", "target", "action")

    def clean(self) -> dict[str, Any]:
        """Refuse a grant that makes no sense."""
        cleaned = super().clean() or self.cleaned_data
        if {"kind", "action", "target"} <= cleaned.keys():
            try:
                check_grant(cleaned["kind"], cleaned["action"], cleaned["target"])
            except GrantRefused as error:
                raise forms.ValidationError(error.message) from error
        return cleaned


class GrantInline(TabularInline):
    model = Grant
    form = GrantForm
    extra = 0


class AssignmentInline(TabularInline):
    model = PermissionSetAssignment
    fields = ("user", "assigned_at")
    readonly_fields = ("assigned_at",)
    autocomplete_fields = ("user",)
    extra = 0


class HeldPermissionSetInline(TabularInline):
    model = PermissionSetAssignment
    fields = ("permission_set", "assigned_at")
    readonly_fields = ("assigned_at",)
    autocomplete_fields = ("permission_set",)
    extra = 0


@admin.register(PermissionSet)
class PermissionSetAdmin(ModelAdmin):
    """What a permission set grants, and who holds it."""

    fields = ("label", "name", "description")
    prepopulated_fields = {"name": ("label",)}
    inlines = (GrantInline, AssignmentInline)
    list_display = ("label", "name", "grant_count", "user_count")
    search_fields = ("label", "name", "grants__target")

    def get_queryset(self, request: HttpRequest) -> QuerySet[PermissionSet]:
        counted: QuerySet[PermissionSet] = (
            super()
            .get_queryset(request)
            .annotate(_grants=Count("grants", distinct=True), _users=Count("assignments", distinct=True))
        )
        return counted

    @admin.display(description="grants", ordering="_grants")
    def grant_count(self, permission_set: Any) -> int:
        return int(permission_set._grants)  # noqa: SLF001 - an annotation of this screen's own query

    @admin.display(description="users", ordering="_users")
    def user_count(self, permission_set: Any) -> int:
        return int(permission_set._users)  # noqa: SLF001 - an annotation of this screen's own query


@admin.register(PermissionSetAssignment)
class PermissionSetAssignmentAdmin(ModelAdmin):
    """Who holds which permission set."""

    fields = ("permission_set", "user", "assigned_at")
    readonly_fields = ("assigned_at",)
    autocomplete_fields = ("permission_set", "user")
    list_display = ("user", "permission_set", "assigned_at")
    list_select_related = ("user", "permission_set")
    list_filter = ("permission_set",)
    search_fields = ("user__username", "permission_set__label", "permission_set__name")


@admin.register(_User)
class UserAdmin(DjangoUserAdmin, ModelAdmin):  # type: ignore[type-arg,misc]  # unfold's own recipe for this pair
    """Django's screen for users, with the permission sets they hold."""

    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm
    inlines = (HeldPermissionSetInline,)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Leave those who have everything to superusers: their passwords would be everything, too."""
        return super().has_change_permission(request, obj) and _may_touch(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_delete_permission(request, obj) and _may_touch(request, obj)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        given = super().get_readonly_fields(request, obj)
        return given if _is_superuser(request) else (*given, "is_superuser", "user_permissions")

    def get_actions(self, request: HttpRequest) -> Any:
        found = super().get_actions(request)
        if not _is_superuser(request):
            # It deletes whoever is chosen, without asking for each.
            found.pop("delete_selected", None)
        return found

    def get_inlines(self, request: HttpRequest, obj: Any) -> Any:
        # A user has to be there before they can hold anything.
        return super().get_inlines(request, obj) if obj is not None else ()


@admin.register(Group)
class GroupAdmin(DjangoGroupAdmin, ModelAdmin):  # type: ignore[misc]  # unfold's own recipe for this pair
    """Django's screen for groups."""


def _is_superuser(request: HttpRequest) -> bool:
    return bool(getattr(request.user, "is_superuser", False))


def _may_touch(request: HttpRequest, user: Any) -> bool:
    return user is None or _is_superuser(request) or not policy.has_everything(user)


def _kind_choices() -> list[tuple[str, str]]:
    return [(kind.name, kind.label) for kind in all_grant_kinds()]


def _action_choices() -> list[tuple[str, str]]:
    names = dict.fromkeys(action for kind in all_grant_kinds() for action in kind.actions)
    return [(name, name) for name in names]
