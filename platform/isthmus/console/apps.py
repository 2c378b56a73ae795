"""Where the app joins Django."""

from django.apps import AppConfig

from isthmus import health


class ConsoleConfig(AppConfig):
    name = "isthmus.console"
    label = "console"
    verbose_name = "Console"

    def ready(self) -> None:
        from isthmus.access.registry import GrantKind, register_grant_kind
        from isthmus.console import access, probes
        from isthmus.console.registry import Page, Question, register_page, register_question

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
        register_question(Question("May they, and why not?", "console:why"))
        health.register(health.Probe(name="database", label="Database", ask=probes.ask_database))
