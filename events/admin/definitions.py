"""The screen on which platform events are defined."""

from typing import Any, ClassVar

from django import forms
from django.contrib import admin
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from unfold.admin import ModelAdmin, TabularInline
from unfold.forms import PaginationInlineFormSet
from unfold.widgets import UnfoldAdminIntegerFieldWidget, UnfoldAdminTextareaWidget

from events.actions.defining import check_definition, save_definition
from events.errors import InvalidDefinition
from events.models import EventDefinition, EventFieldDefinition

__all__ = ["EventDefinitionAdmin"]


class EventDefinitionForm(forms.ModelForm):  # type: ignore[type-arg]  # the class takes no argument at run time
    """A definition with how long its events are kept."""

    retention_hours = forms.IntegerField(
        required=False, min_value=1, widget=UnfoldAdminIntegerFieldWidget, help_text="Empty: as the setting says."
    )
    retention_bytes = forms.IntegerField(
        required=False, min_value=1, widget=UnfoldAdminIntegerFieldWidget, help_text="Empty: no limit."
    )

    class Meta:
        model = EventDefinition
        fields = ("api_name", "label", "description", "is_active", "publish_behavior", "partition_key")
        widgets: ClassVar = {"description": UnfoldAdminTextareaWidget(attrs={"rows": 3})}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.pk is not None:
            self.initial["retention_hours"] = self.instance.topic.retention_hours
            self.initial["retention_bytes"] = self.instance.topic.retention_bytes


class EventFieldFormSet(PaginationInlineFormSet):
    """Checks the definition as a whole."""

    def clean(self) -> None:
        super().clean()
        if not any(self.errors):
            try:
                check_definition(self.instance, self.kept())
            except InvalidDefinition as refused:
                raise forms.ValidationError(refused.message) from refused

    def kept(self) -> list[EventFieldDefinition]:
        """Return the fields that are to be there, in order."""
        removed = self.deleted_forms
        return [
            form.instance
            for form in self.forms
            if form not in removed and (form.has_changed() or form.instance.pk is not None)
        ]


class EventFieldInline(TabularInline):
    """The fields of an event."""

    model = EventFieldDefinition
    formset = EventFieldFormSet
    fields = ("api_name", "label", "kind", "is_required", "default_value", "length", "precision", "scale", "help_text")
    extra = 1


@admin.register(EventDefinition)
class EventDefinitionAdmin(ModelAdmin):
    """Platform events. What the code declares is only shown; others are defined here, fields and all."""

    form = EventDefinitionForm
    list_display = ("label", "api_name", "is_active", "publishing", "declared_in")
    list_filter = ("is_active",)
    search_fields = ("api_name", "label")
    inlines = (EventFieldInline,)

    @admin.display(description="By hand")
    def publishing(self, definition: EventDefinition) -> str:
        """Lead to the form from which an event is published by hand."""
        if not definition.is_active:
            return ""
        return format_html(
            '<a class="whitespace-nowrap text-primary-600 dark:text-primary-500" href="{}">Publish one</a>',
            reverse("events:publish", args=[definition.api_name]),
        )

    def has_change_permission(self, request: HttpRequest, obj: EventDefinition | None = None) -> bool:
        return (obj is None or not obj.declared_in) and super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: EventDefinition | None = None) -> bool:
        # Kept events refer to it: it can be made inactive.
        return False

    def get_readonly_fields(self, request: HttpRequest, obj: EventDefinition | None = None) -> tuple[str, ...]:
        return ("api_name",) if obj else ()

    def get_inlines(self, request: HttpRequest, obj: EventDefinition | None) -> tuple[type[TabularInline], ...]:
        return () if obj is not None and obj.declared_in else self.inlines

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Leave it to `save_related`: a definition is stored as a whole."""

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        for formset in formsets:
            formset.save(commit=False)
            save_definition(
                form.instance,
                formset.kept(),
                retention_hours=form.cleaned_data["retention_hours"],
                retention_bytes=form.cleaned_data["retention_bytes"],
            )
