"""The screen on which operators set limits of endpoints in place of the code's."""

from collections.abc import Callable
from typing import Any

from django import forms
from django.contrib import admin
from unfold.admin import ModelAdmin
from unfold.widgets import UnfoldAdminSelectWidget

from apexrest import registry
from apexrest.errors import EndpointMisdeclared
from apexrest.limits import Limits
from apexrest.models import EndpointLimits

__all__ = ["EndpointLimitsAdmin"]


class EndpointLimitsForm(forms.ModelForm):  # type: ignore[type-arg]  # the class takes no argument at run time
    """Limits of one of the resources that there are."""

    mapping = forms.ChoiceField(label="URL mapping", widget=UnfoldAdminSelectWidget)

    class Meta:
        model = EndpointLimits
        fields = ("mapping", "max_body_bytes", "rate", "concurrency", "ip_ranges", "max_seconds")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "mapping" in self.fields:
            known = [(one.mapping, one.mapping) for one in registry.all_resources()]
            self.fields["mapping"] = forms.ChoiceField(
                label="URL mapping", widget=UnfoldAdminSelectWidget, choices=known
            )

    def clean(self) -> dict[str, Any]:
        """Refuse what is no limit."""
        cleaned = super().clean() or self.cleaned_data
        ranges = tuple(line.strip() for line in (cleaned.get("ip_ranges") or "").splitlines() if line.strip())
        self._check("rate", lambda: Limits(rate=cleaned.get("rate") or None))
        self._check("ip_ranges", lambda: Limits(ip_ranges=ranges or None))
        return cleaned

    def _check(self, name: str, make: Callable[[], Limits]) -> None:
        try:
            make()
        except EndpointMisdeclared as error:
            self.add_error(name, error.message)


@admin.register(EndpointLimits)
class EndpointLimitsAdmin(ModelAdmin):
    """Limits that take the place of those in the code; what is left empty stays as the code says."""

    form = EndpointLimitsForm
    list_display = ("mapping", "max_body_bytes", "rate", "concurrency", "max_seconds")
