"""The screen on which it is decided whose changes are captured."""

from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest
from unfold.admin import ModelAdmin
from unfold.widgets import UnfoldAdminSelectWidget

from isthmus.objects import catalogue
from isthmus.objects.capture.triggers.switching import as_declared, switch
from isthmus.objects.errors import UnknownObject
from isthmus.objects.models import ChangeTracking

__all__ = ["ChangeTrackingAdmin"]


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
