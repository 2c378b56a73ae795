"""Where the app joins Django."""

from typing import Any

from django.apps import AppConfig
from django.core import checks
from django.db.backends.signals import connection_created
from django.db.models.signals import post_delete, post_migrate, post_save, pre_migrate
from django.utils.module_loading import autodiscover_modules


class ObjectsConfig(AppConfig):
    name = "isthmus.objects"
    label = "objects"
    verbose_name = "Objects"

    def ready(self) -> None:
        from isthmus.access.explaining import register_further_rule
        from isthmus.access.registry import register_grant_kind, register_model_permission_translator
        from isthmus.access.setting_up import register_set_up
        from isthmus.audit.context import register_actor_source
        from isthmus.audit.registry import AuditAction, register_actions
        from isthmus.objects import console
        from isthmus.objects.capture import context
        from isthmus.objects.capture.actors import acting_user
        from isthmus.objects.checks import check_organization, check_triggers
        from isthmus.objects.permissions import FIELD_KIND, OBJECT_KIND, ModelPermissions
        from isthmus.objects.sharing import explain_target

        register_actions(AuditAction(name="objects.tracking_switched", label="Change capture switched"))
        register_grant_kind(OBJECT_KIND)
        register_grant_kind(FIELD_KIND)
        register_further_rule("object", explain_target)
        for model in ("ObjectSharing", "SharingRule"):
            for signal in (post_save, post_delete):
                signal.connect(_forget_sharing, sender=self.get_model(model), dispatch_uid=f"isthmus.objects.{model}")
        register_model_permission_translator(ModelPermissions())
        connection_created.connect(_use_sqlite_fully, dispatch_uid="isthmus.objects")
        connection_created.connect(context.watch, dispatch_uid="isthmus.objects.context")
        pre_migrate.connect(_before_migration, sender=self, dispatch_uid="isthmus.objects.triggers")
        post_migrate.connect(_after_migration, sender=self, dispatch_uid="isthmus.objects.triggers")
        checks.register(check_triggers, checks.Tags.database)
        checks.register(check_organization, checks.Tags.database)
        register_actor_source(acting_user)
        register_set_up("objects")
        console.register()
        autodiscover_modules("objects")


def _forget_sharing(**_: Any) -> None:
    from isthmus.objects import sharing

    sharing.forget_settings()


def _use_sqlite_fully(connection: Any, **_: Any) -> None:
    """Let bulk statements on SQLite be as long as this build allows, not as builds of 2020 did (999 parameters).

    Django does so itself from 6.0 on: https://code.djangoproject.com/ticket/36143
    """
    if connection.vendor != "sqlite":
        return
    # `SQLITE_LIMIT_VARIABLE_NUMBER`. Half of it: `bulk_update` counts each value once and passes it twice.
    connection.features.max_query_params = connection.connection.getlimit(9) // 2


def _before_migration(*, using: str, plan: Any = (), **_: Any) -> None:
    from isthmus.objects.capture import triggers

    triggers.prepare_for_migration(using, plan)


def _after_migration(*, using: str, **_: Any) -> None:
    from isthmus.objects import organization
    from isthmus.objects.capture import triggers

    triggers.synchronise_triggers(using)
    if using == organization.DATABASE:
        organization.bring_into_step()
