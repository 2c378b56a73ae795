from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("credentials", "0001_initial"),
    ]

    operations = [
        migrations.AddField(
            model_name="storedtoken",
            name="token_generation",
            field=models.PositiveBigIntegerField(default=0, help_text="The generation that brought the kept token."),
        ),
    ]
