"""The app's addresses."""

from django.urls import URLPattern, path, register_converter
from django.urls.converters import StringConverter

from callouts.queue import views


class DecisionConverter(StringConverter):
    regex = "resend|cancel|acted|not-acted"


class BatchActConverter(StringConverter):
    regex = "restart|cancel"


register_converter(DecisionConverter, "decision")
register_converter(BatchActConverter, "batch_act")

app_name = "callout_queue"
urlpatterns: list[URLPattern] = [
    path("", views.queue, name="list"),
    path("recover/", views.recover, name="recover"),
    path("batches/", views.batches, name="batches"),
    path("batches/<int:pk>/", views.batch, name="batch"),
    path("batches/<int:pk>/<batch_act:what>/", views.batch_act, name="batch-act"),
    path("<int:pk>/", views.detail, name="detail"),
    path("<int:pk>/edit/", views.edit, name="edit"),
    path("<int:pk>/<decision:what>/", views.decide, name="decide"),
]
