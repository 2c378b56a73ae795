from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("external_services", "0003_drop_whole_documents")]

    operations = [
        migrations.AddField(
            model_name="externalservice",
            name="server_path",
            field=models.CharField(
                blank=True,
                help_text="What stands before every operation's path, such as /v2. Empty: the path of the document's"
                " server; a single slash: nothing.",
                max_length=500,
                null=True,
            ),
        ),
    ]
