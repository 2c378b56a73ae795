"""Where the app joins Django."""

from django.apps import AppConfig
from django.utils.module_loading import autodiscover_modules

from apexrest import registry
from isthmus.access.registry import GrantKind, register_grant_kind


class ApexRestConfig(AppConfig):
    name = "apexrest"
    label = "apexrest"
    verbose_name = "REST endpoints"

    def ready(self) -> None:
        from apexrest import console, figures, listings
        from apexrest.door import PREFIX, Door
        from apexrest.idempotency import remove_expired_answers
        from isthmus.access.setting_up import register_set_up
        from isthmus.doors import register_door
        from isthmus.jobs.schedules import register_schedule

        register_grant_kind(
            GrantKind(
                name="endpoint",
                label="REST endpoints",
                actions=tuple(method.lower() for method in registry.HTTP_METHODS),
                targets=lambda: [resource.mapping for resource in registry.all_resources()],
            )
        )
        register_set_up("apexrest")
        console.register()
        listings.register()
        figures.register()
        door = Door()
        register_door(PREFIX, door, door.opens)
        register_schedule("Remove expired idempotency answers", remove_expired_answers, cron="41 * * * *")
        autodiscover_modules("rest_resources")
