"""Where the app joins Django."""

from django.apps import AppConfig
from django.core import checks as django_checks
from django.db.models.signals import post_migrate
from django.utils.module_loading import autodiscover_modules


class EventsConfig(AppConfig):
    name = "events"
    label = "events"
    verbose_name = "Events"

    def ready(self) -> None:
        from events import (
            checks,
            console,
            figures,
            grants,
            listings,
            made_definitions,
            migrations_done,
            probes,
            registry,
            sobjects,
            told_schemas,
        )
        from events.cleaning import remove_old_notes
        from isthmus.access.registry import register_grant_kind
        from isthmus.access.setting_up import register_set_up
        from isthmus.audit.registry import AuditAction, register_actions
        from isthmus.jobs.schedules import register_schedule
        from isthmus.objects import catalogue
        from isthmus.objects import registry as objects
        from isthmus.objects.capture.triggers.switching import tracking_switched
        from isthmus.objects.event_schemas import register_event_schemas

        autodiscover_modules("platform_events")
        from events import credential_events  # it names an event, which is there only now

        autodiscover_modules("subscribers")
        for object_type in sobjects.declared_object_types(registry.declared_events()):
            objects.register(object_type)
        registry.add_source(made_definitions)
        catalogue.look_further(made_definitions.find)
        credential_events.connect()
        tracking_switched.connect(migrations_done.follow_tracking, dispatch_uid="events.tracking")
        register_grant_kind(grants.EVENT_GRANTS)
        register_event_schemas(told_schemas)
        register_actions(
            AuditAction(name="events.subscription_paused", label="Subscription paused"),
            AuditAction(name="events.subscription_resumed", label="Subscription resumed"),
            AuditAction(name="events.subscription_rewound", label="Subscription rewound"),
            AuditAction(name="events.subscription_skipped", label="Waiting events of a subscription skipped"),
            AuditAction(name="events.channel_changed", label="Channel changed"),
            AuditAction(name="events.channel_member_changed", label="Member of a channel changed"),
            AuditAction(name="events.channel_member_removed", label="Member of a channel removed"),
            AuditAction(name="events.definition_changed", label="Platform event defined"),
            AuditAction(name="events.parked_redriven", label="Parked event driven again"),
            AuditAction(name="events.parked_discarded", label="Parked event discarded"),
        )
        register_schedule("Remove old notes of events", remove_old_notes, cron="13 4 * * *")
        probes.register()
        register_set_up("events")
        console.register()
        listings.register()
        figures.register()
        django_checks.register(checks.check_event_log)
        post_migrate.connect(migrations_done.synchronise_tables, sender=self, dispatch_uid="events.synchronise")
