from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

from isthmus.objects.capture.triggers import postgresql


def lay_foundation(_apps: object, schema_editor: BaseDatabaseSchemaEditor) -> None:
    if schema_editor.connection.vendor == "postgresql":
        for statement in postgresql.FOUNDATION:
            schema_editor.execute(statement, params=None)


class Migration(migrations.Migration):
    dependencies = [("objects", "0001_initial")]

    operations = [
        migrations.CreateModel(
            name="ChangeTracking",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("object_name", models.CharField(max_length=80, unique=True)),
                ("is_on", models.BooleanField(verbose_name="captures changes")),
            ],
            options={"verbose_name_plural": "change tracking"},
        ),
        migrations.CreateModel(
            name="RawChange",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "transaction_key",
                    models.UUIDField(help_text="The same for everything that one transaction changed."),
                ),
                ("object_name", models.CharField(max_length=80)),
                (
                    "operation",
                    models.CharField(
                        choices=[
                            ("I", "Insert"),
                            ("U", "Update"),
                            ("D", "Delete"),
                            ("T", "All rows, unseen one by one"),
                            ("S", "None: told as it is"),
                        ],
                        max_length=1,
                    ),
                ),
                ("record_pk", models.BigIntegerField(null=True)),
                (
                    "old_values",
                    models.JSONField(help_text="By column, as the database writes them in JSON.", null=True),
                ),
                ("new_values", models.JSONField(null=True)),
                ("context", models.TextField(blank=True, help_text="Who, from where, under which correlation.")),
                ("created_at", models.DateTimeField()),
            ],
            options={
                "ordering": ["id"],
                "indexes": [models.Index(fields=["transaction_key", "id"], name="raw_change_transaction")],
            },
        ),
        migrations.RunPython(lay_foundation, migrations.RunPython.noop),
    ]
