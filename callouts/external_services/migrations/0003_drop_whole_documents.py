"""What pages and sources hold is not kept a second time."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("external_services", "0002_documents_in_pages")]

    operations = [migrations.RemoveField(model_name="externalserviceversion", name="document")]
