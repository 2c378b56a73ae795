"""The app's addresses."""

from django.urls import URLPattern, path

from isthmus.console import explain_view, health_views, views

app_name = "console"
urlpatterns: list[URLPattern] = [
    path("", views.home, name="home"),
    path("sign-in/", views.SignIn.as_view(), name="login"),
    path("sign-out/", views.SignOut.as_view(), name="logout"),
    path("search/", views.search, name="search"),
    path("demo-data/", views.demo_data, name="demo-data"),
    path("access/why/", explain_view.why, name="why"),
    path("timeline-bundle/<path:reference>", views.time_line_bundle, name="time-line-bundle"),
    path("timeline/<path:reference>", views.time_line, name="time-line"),
    path("healthz", health_views.healthz, name="healthz"),
    path("readyz", health_views.readyz, name="readyz"),
    path("metrics", health_views.metrics, name="metrics"),
]
