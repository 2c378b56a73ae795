"""Writes rows of exposed models."""

from django.db import models


class ModelRowWriter:
    def __init__(self, model: type[models.Model]) -> None:
        self._model = model
