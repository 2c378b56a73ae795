"""The app's addresses: one's own connections, and where identity providers send browsers back."""

from django.urls import path

from credentials import views

app_name = "credentials"
urlpatterns = [
    path("my-connections/", views.my_connections, name="my_connections"),
    path("my-connections/<int:principal_id>/connect/", views.start, name="connect"),
    path("my-connections/<int:principal_id>/disconnect/", views.end, name="disconnect"),
    path("services/authcallback/<str:name>", views.callback, name="callback"),
]
