"""The app's addresses, below `/services/oauth2/`."""

from django.urls import URLPattern, re_path

from isthmus.access.views import TokenView

app_name = "access"
urlpatterns: list[URLPattern] = [
    re_path(r"^token/?$", TokenView.as_view(), name="token"),
]
