"""Where the app joins Django."""

from django.apps import AppConfig

from isthmus import health


class ConsoleConfig(AppConfig):
    name = "isthmus.console"
    label = "console"
    verbose_name = "Console"

    def ready(self) -> None:
        from isthmus.access.limits import register_limits
        from isthmus.access.registry import GrantKind, register_grant_kind
        from isthmus.audit.registry import AuditAction, register_actions
        from isthmus.console import (
            access,
            api_client_needs,
            bulk_progress,
            connections,
            live_streams,
            overview,
            own_listings,
            probes,
            storage_limits,
        )
        from isthmus.console.live import register_live
        from isthmus.console.registry import Page, Question, register_page, register_question
        from isthmus.doors import register_door

        register_grant_kind(
            GrantKind(
                name=access.KIND,
                label="Console",
                actions=("view", "operate", "administer"),
                targets=lambda: [access.ANYWHERE],
                implied={"operate": ("view",), "administer": ("view", "operate")},
            )
        )
        register_page(Page("Home", "console:home", "home", 0))
        register_page(Page("Connections", "console:connections", "link", 42))
        register_page(Page("Limits", "console:limits", "gauge", 70))
        own_listings.register()
        register_live("health", probes.turn_of_health)
        register_live("bulk", bulk_progress.live_mark)
        register_actions(AuditAction(name="console.bulk_asked", label="Bulk action asked for"))
        door = live_streams.LiveDoor()
        register_door(live_streams.PREFIX, door, door.opens)
        overview.register_needs(api_client_needs.client_needs)
        register_limits(storage_limits.storage_limits)
        connections.register_series_of_brokers()
        register_question(Question("May they, and why not?", "console:why"))
        health.register(health.Probe(name="database", label="Database", ask=probes.ask_database))
