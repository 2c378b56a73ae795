"""The screens on which it is decided whose changes are captured, and how records are shared."""

from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest
from unfold.admin import ModelAdmin
from unfold.widgets import UnfoldAdminSelectWidget

from isthmus.objects import catalogue
from isthmus.objects.capture.triggers.switching import as_declared, switch
from isthmus.objects.errors import UnknownObject
from isthmus.objects.models import ChangeTracking, ObjectSharing, SharingRule

__all__ = ["ChangeTrackingAdmin", "ObjectSharingAdmin", "SharingRuleAdmin"]


class ChangeTrackingForm(forms.ModelForm):  # type: ignore[type-arg]  # the class takes no argument at run time
    """Chooses among the objects that have a table."""

    object_name = forms.ChoiceField(label="Object", widget=UnfoldAdminSelectWidget)

    class Meta:
        model = ChangeTracking
        fields = ("object_name", "is_on")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "object_name" in self.fields:
            self.fields["object_name"] = forms.ChoiceField(
                label="Object",
                widget=UnfoldAdminSelectWidget,
                choices=[(found.api_name, found.label) for found in catalogue.all_objects() if found.model is not None],
            )


@admin.register(ChangeTracking)
class ChangeTrackingAdmin(ModelAdmin):
    """Objects whose changes are captured otherwise than the code says. Without an entry the code's word counts."""

    form = ChangeTrackingForm
    list_display = ("object_name", "is_on")

    def get_readonly_fields(self, request: HttpRequest, obj: ChangeTracking | None = None) -> tuple[str, ...]:
        return ("object_name",) if obj else ()

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        switch(catalogue.get_object(obj.object_name), is_on=obj.is_on)

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        try:
            as_declared(catalogue.get_object(obj.object_name))
        except UnknownObject:
            # The code lost the object; only the entry is left.
            obj.delete()

    def delete_queryset(self, request: HttpRequest, queryset: Any) -> None:
        for obj in queryset:
            self.delete_model(request, obj)


class _ObjectForm(forms.ModelForm):  # type: ignore[type-arg]  # the class takes no argument at run time
    """Chooses among the objects whose records can be shared."""

    object_name = forms.ChoiceField(label="Object", widget=UnfoldAdminSelectWidget)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "object_name" in self.fields:
            shared = [(one.api_name, one.label) for one in catalogue.all_objects() if one.sharing is not None]
            self.fields["object_name"] = forms.ChoiceField(
                label="Object", widget=UnfoldAdminSelectWidget, choices=shared
            )


class ObjectSharingForm(_ObjectForm):
    class Meta:
        model = ObjectSharing
        fields = ("object_name", "default")


class SharingRuleForm(_ObjectForm):
    class Meta:
        model = SharingRule
        fields = ("object_name", "owned_by", "shared_with", "may_edit")


@admin.register(ObjectSharing)
class ObjectSharingAdmin(ModelAdmin):
    """What everybody may do to records that are not shared with them. Without an entry the code's word counts."""

    form = ObjectSharingForm
    list_display = ("object_name", "default")


@admin.register(SharingRule)
class SharingRuleAdmin(ModelAdmin):
    """Records that are opened to the members of a group."""

    form = SharingRuleForm
    list_display = ("object_name", "owned_by", "shared_with", "may_edit")
    list_select_related = ("owned_by", "shared_with")
