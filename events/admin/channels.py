"""The screen on which custom channels are made."""

from typing import Any, ClassVar

from django import forms
from django.contrib import admin
from django.http import HttpRequest
from unfold.admin import ModelAdmin, TabularInline
from unfold.forms import PaginationInlineFormSet
from unfold.widgets import UnfoldAdminTextareaWidget, UnfoldAdminTextInputWidget

from events import channels
from events.actions.channels import remove_member, save_channel, save_member
from events.errors import InvalidFilter
from events.models import Channel, ChannelMember

__all__ = ["ChannelAdmin"]


class NameListField(forms.CharField):
    """Names in one line, apart by commas."""

    widget = UnfoldAdminTextInputWidget

    def prepare_value(self, value: Any) -> Any:
        return ", ".join(value) if isinstance(value, list) else value

    def to_python(self, value: Any) -> Any:
        return list(dict.fromkeys(name.strip() for name in str(value or "").split(",") if name.strip()))

    def has_changed(self, initial: Any, data: Any) -> bool:
        return list(initial or []) != list(self.to_python(data))


class ChannelMemberForm(forms.ModelForm):  # type: ignore[type-arg]  # the class takes no argument at run time
    """One member."""

    enriched_fields = NameListField(required=False, help_text="API names, apart by commas.")

    class Meta:
        model = ChannelMember
        fields = ("topic", "filter_expression", "enriched_fields")
        widgets: ClassVar = {"filter_expression": UnfoldAdminTextareaWidget(attrs={"rows": 2})}


class ChannelMemberFormSet(PaginationInlineFormSet):
    """Checks each member against its channel and what is published."""

    def clean(self) -> None:
        super().clean()
        for form in self.forms:
            given = getattr(form, "cleaned_data", {})
            if given.get("topic") is None or form in self.deleted_forms:
                continue
            try:
                channels.check_member(
                    self.instance, given["topic"].name, given["filter_expression"], given["enriched_fields"]
                )
            except InvalidFilter as refused:
                form.add_error(None, refused.message)


class ChannelMemberInline(TabularInline):
    """The members of a channel."""

    model = ChannelMember
    form = ChannelMemberForm
    formset = ChannelMemberFormSet
    extra = 1


@admin.register(Channel)
class ChannelAdmin(ModelAdmin):
    """Topics made of others, with filters and further fields."""

    list_display = ("label", "name", "kind")
    inlines = (ChannelMemberInline,)

    def get_readonly_fields(self, request: HttpRequest, obj: Channel | None = None) -> tuple[str, ...]:
        return ("name", "kind") if obj else ()

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        save_channel(obj)

    def save_formset(self, request: HttpRequest, form: Any, formset: Any, change: bool) -> None:
        for member in formset.save(commit=False):
            save_member(member)
        for member in formset.deleted_objects:
            remove_member(member)
        formset.save_m2m()
