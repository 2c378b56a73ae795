"""Where the app joins Django."""

from django.apps import AppConfig
from django.utils.module_loading import autodiscover_modules


class ExternalServicesConfig(AppConfig):
    name = "callouts.external_services"
    label = "external_services"
    verbose_name = "External services"

    def ready(self) -> None:
        from callouts.callbacks import conf  # noqa: F401 - declares options, which the checks must know
        from callouts.callbacks.adopting import Adopter
        from callouts.callbacks.door import PREFIX, Door
        from callouts.external_services import console, figures, listings
        from callouts.external_services.access import EXTERNAL_SERVICE
        from callouts.external_services.cleaning import remove_old_invocations
        from isthmus.access.registry import register_grant_kind
        from isthmus.access.setting_up import register_set_up
        from isthmus.audit.registry import AuditAction, register_actions
        from isthmus.doors import register_door
        from isthmus.jobs.schedules import register_schedule
        from isthmus.jobs.services import register_worker_service

        register_grant_kind(EXTERNAL_SERVICE)
        register_door(PREFIX, Door())
        register_worker_service(Adopter)
        register_actions(
            AuditAction(name="external_service.registered", label="External service registered"),
            AuditAction(name="external_service.activated", label="External service version activated"),
            AuditAction(name="external_service.connected", label="External service connected"),
            AuditAction(name="external_service.invocation_extended", label="Invocation extended"),
            AuditAction(name="external_service.callback_routed", label="Callback routed by hand"),
            AuditAction(name="external_service.callback_simulated", label="Callback simulated"),
        )
        register_set_up("external_services")
        register_schedule("Remove ended invocations", remove_old_invocations, cron="53 3 * * *")
        console.register()
        listings.register()
        figures.register()
        # Handlers are found by their dotted path; importing them now shows a broken one at the start.
        autodiscover_modules("callbacks")
