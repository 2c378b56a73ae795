"""Documents in pages, operations with tags and summaries; what was registered before is read again."""

import django.db.models.deletion
from django.apps.registry import Apps
from django.conf import settings
from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

import callouts.external_services.fields


def read_again(apps: Apps, _editor: BaseDatabaseSchemaEditor) -> None:
    from callouts.external_services.description import definitions
    from callouts.external_services.description.analysis import analyse
    from callouts.external_services.document.pages import paged
    from callouts.external_services.document.reading import read

    versions = apps.get_model("external_services", "ExternalServiceVersion")
    pages = apps.get_model("external_services", "DocumentPage")
    sources = apps.get_model("external_services", "DocumentSource")
    operations = apps.get_model("external_services", "Operation")
    for version in versions.objects.all():
        document = read(version.document)
        made = paged(document.content)
        version.page_starts = [start for start, _ in made]
        version.digest = document.digest
        version.save(update_fields=["page_starts", "digest"])
        pages.objects.bulk_create(
            pages(version=version, number=number, pieces=pieces) for number, (_, pieces) in enumerate(made)
        )
        # Its own text was not kept; the JSON that was made of it is as near as one can get.
        sources.objects.create(version=version, name="", format="json", text=version.document)
        drafts = {draft.operation_id: draft for draft in analyse(document).operations}
        for operation in operations.objects.filter(version=version):
            draft = drafts.get(operation.operation_id)
            operation.definition = definitions.as_json(draft.definition) if draft else "{}"
            operation.callbacks = definitions.callbacks_as_json(draft.callbacks) if draft else "[]"
            operation.tag = draft.tag if draft else ""
            operation.summary = draft.definition.summary if draft else ""
            operation.is_deprecated = bool(draft and draft.definition.is_deprecated)
            operation.save()


def store_outside_of_rows(_apps: Apps, editor: BaseDatabaseSchemaEditor) -> None:
    """Keep PostgreSQL from compressing, which costs more time than all the rest of a registration."""
    if editor.connection.vendor == "postgresql":
        for table, column in (("documentpage", "pieces"), ("documentsource", "text")):
            editor.execute(f"ALTER TABLE external_services_{table} ALTER COLUMN {column} SET STORAGE EXTERNAL")


class Migration(migrations.Migration):
    dependencies = [
        ("external_services", "0001_initial"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.AddField(
            model_name="externalservice",
            name="answer_checking",
            field=models.CharField(
                choices=[
                    ("warn", "Warn: return it, and note what does not fit"),
                    ("fail", "Fail: raise AnswerInvalid"),
                    ("off", "Do not look"),
                ],
                default="warn",
                help_text="What becomes of answers that do not fit the document.",
                max_length=10,
            ),
        ),
        migrations.AddField(
            model_name="externalserviceversion",
            name="page_starts",
            field=callouts.external_services.fields.JsonTextField(
                default=list, help_text="The first JSON pointer of each page."
            ),
        ),
        migrations.AddField(
            model_name="externalserviceversion",
            name="anchors",
            field=callouts.external_services.fields.JsonTextField(
                default=dict, help_text="JSON pointers by `$anchor` and `$id`."
            ),
        ),
        migrations.AddField(
            model_name="externalserviceversion",
            name="changes",
            field=callouts.external_services.fields.JsonTextField(
                help_text="What differs from the version that was active before it; empty for the first.", null=True
            ),
        ),
        migrations.AlterField(
            model_name="externalserviceversion",
            name="problems",
            field=callouts.external_services.fields.JsonTextField(
                default=list, help_text="What could not be registered: effect, operation, pointer, line, reason."
            ),
        ),
        migrations.CreateModel(
            name="DocumentPage",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("number", models.PositiveIntegerField()),
                ("pieces", models.TextField(help_text="A JSON object: pieces by their JSON pointers.")),
                (
                    "version",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="pages",
                        to="external_services.externalserviceversion",
                    ),
                ),
            ],
            options={
                "ordering": ["version", "number"],
                "constraints": [models.UniqueConstraint(fields=("version", "number"), name="document_page_once")],
            },
        ),
        migrations.CreateModel(
            name="DocumentSource",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "name",
                    models.TextField(blank=True, help_text="Within the set; empty for the document itself."),
                ),
                ("format", models.CharField(max_length=10)),
                ("text", models.TextField()),
                (
                    "version",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="sources",
                        to="external_services.externalserviceversion",
                    ),
                ),
            ],
            options={
                "ordering": ["version", "name"],
                "constraints": [models.UniqueConstraint(fields=("version", "name"), name="document_source_once")],
            },
        ),
        migrations.AddField(
            model_name="operation",
            name="tag",
            field=models.CharField(
                blank=True, default="", help_text="The document's first tag for it.", max_length=255
            ),
            preserve_default=False,
        ),
        migrations.AddField(
            model_name="operation",
            name="summary",
            field=models.TextField(blank=True, default=""),
            preserve_default=False,
        ),
        migrations.AddField(
            model_name="operation",
            name="is_deprecated",
            field=models.BooleanField(default=False),
        ),
        migrations.AlterField(
            model_name="operation",
            name="definition",
            field=models.TextField(help_text="Parameters, body and answers; schemas are pointers into the document."),
        ),
        migrations.AlterField(
            model_name="operation",
            name="callbacks",
            field=models.TextField(default="[]"),
        ),
        migrations.AddField(
            model_name="callbackreceipt",
            name="routed_at",
            field=models.DateTimeField(help_text="When somebody routed it by hand.", null=True),
        ),
        migrations.AddField(
            model_name="callbackreceipt",
            name="routed_by",
            field=models.ForeignKey(
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="+",
                to=settings.AUTH_USER_MODEL,
            ),
        ),
        migrations.AddField(
            model_name="callbackreceipt",
            name="simulated_by",
            field=models.ForeignKey(
                help_text="Who made it up in the console; empty for one from outside.",
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="+",
                to=settings.AUTH_USER_MODEL,
            ),
        ),
        migrations.RunPython(store_outside_of_rows, migrations.RunPython.noop),
        migrations.RunPython(read_again, migrations.RunPython.noop, elidable=True),
    ]
