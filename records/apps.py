"""Where the app joins Django."""

from typing import Any

from django.apps import AppConfig, apps
from django.core import checks
from django.db.models.signals import post_migrate, pre_migrate


class RecordsConfig(AppConfig):
    name = "records"
    label = "records"
    verbose_name = "Record API"

    def ready(self) -> None:
        from records.checks import check_search_indexes

        # Django sends these signals for apps with models only. All tables are there when it sends the first.
        objects = apps.get_app_config("objects")
        pre_migrate.connect(_before_migration, sender=objects, dispatch_uid="records.search_index")
        post_migrate.connect(_after_migration, sender=objects, dispatch_uid="records.search_index")
        checks.register(check_search_indexes, checks.Tags.database)


def _before_migration(*, using: str, plan: Any = (), **_: Any) -> None:
    from records import search_index

    search_index.prepare_for_migration(using, plan)


def _after_migration(*, using: str, **_: Any) -> None:
    from records import search_index

    search_index.synchronise(using)
