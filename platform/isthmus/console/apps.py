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
        from isthmus.console import access, api_client_needs, connections, overview, probes, storage_limits
        from isthmus.console.registry import Page, register_page

        register_grant_kind(
            GrantKind(
                name=access.KIND,
                label="Console",
                actions=("view", "operate"),
                targets=lambda: [access.ANYWHERE],
                implied={"operate": ("view",)},
            )
        )
        register_page(Page("Home", "console:home", "home", 0))
        register_page(Page("Connections", "console:connections", "link", 42))
        register_page(Page("Limits", "console:limits", "gauge", 70))
        register_page(Page("Access", "console:why", "question", 80))
        overview.register_needs(api_client_needs.client_needs)
        register_limits(storage_limits.storage_limits)
        connections.register_series_of_brokers()
        health.register(health.Probe(name="database", label="Database", ask=probes.ask_database))
