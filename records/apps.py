"""Where the app joins Django."""

from typing import Any

from django.apps import AppConfig, apps
from django.core import checks
from django.db.backends.signals import connection_created
from django.db.models.signals import post_migrate, pre_migrate


class RecordsConfig(AppConfig):
    name = "records"
    label = "records"
    verbose_name = "Record API"

    def ready(self) -> None:
        # Importing the resources declares them.
        from isthmus.doors import register_door
        from isthmus.jobs.schedules import register_schedule
        from records import console, resources  # noqa: F401 - only when the apps are loaded
        from records.checks import check_search_indexes
        from records.cleaning import remove_unusable_cursors
        from records.door import PREFIX, Door
        from records.soql.letter_case import add_function

        connection_created.connect(add_function, dispatch_uid="records.letter_case")
        console.register()
        register_schedule("Remove unusable query cursors", remove_unusable_cursors, cron="23 * * * *")
        door = Door()
        register_door(PREFIX, door, door.opens)
        # When all tables are there; Django sends one signal for each app.
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
