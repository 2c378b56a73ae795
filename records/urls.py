"""The app's addresses, below `/services/data`; each with or without a slash at its end."""

from django.urls import URLPattern, re_path

from records.api import views

app_name = "records"

urlpatterns: list[URLPattern] = [
    # In brackets: the system checks take a leading slash for a mistake, which it is where a prefix ends in one.
    re_path(r"^[/]?$", views.VersionsView.as_view(), name="versions"),
    re_path(r"^[/]v(?P<version>[0-9]{2}\.[0-9])(?P<path>/(?s:.*)|)$", views.DataView.as_view(), name="data"),
]
