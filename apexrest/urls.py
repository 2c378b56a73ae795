"""The app's addresses, below `/services/apexrest/`: all of them."""

from django.urls import URLPattern, re_path

from apexrest.views import EndpointView

app_name = "apexrest"
# A line break in an address must not lead to an HTML page either, so the dot takes it too.
urlpatterns: list[URLPattern] = [re_path(r"^(?P<path>(?s:.*))$", EndpointView.as_view(), name="endpoint")]
