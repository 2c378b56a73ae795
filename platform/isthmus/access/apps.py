"""Where the app joins Django."""

from django.apps import AppConfig


class AccessConfig(AppConfig):
    name = "isthmus.access"
    label = "access"
    verbose_name = "Access"
