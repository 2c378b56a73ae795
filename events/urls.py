"""The app's addresses."""

from django.urls import URLPattern, path

from events import views
from events.why import pages

app_name = "events"
urlpatterns: list[URLPattern] = [
    path("why/", pages.why, name="why"),
    path("events/", views.monitor, name="monitor"),
    path("events/log/", views.log, name="log"),
    path("events/log/<int:replay_id>/", views.event, name="event"),
    path("events/parked/", views.parked, name="parked"),
    path("events/parked/<int:parked_id>/<slug:act>/", views.decide, name="decide"),
    path("events/publish/<slug:api_name>/", views.publish, name="publish"),
    path("events/subscriptions/<int:subscription_id>/", views.subscription, name="subscription"),
    path("events/subscriptions/<int:subscription_id>/<slug:act>/", views.steer, name="steer"),
]
