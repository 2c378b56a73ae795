"""Where the app joins Django."""

from django.apps import AppConfig


class ObjectsConfig(AppConfig):
    name = "isthmus.objects"
    label = "objects"
    verbose_name = "Objects"
