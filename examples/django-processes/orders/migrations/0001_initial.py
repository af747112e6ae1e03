from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="Order",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("article", models.CharField(max_length=100)),
                ("is_paid", models.BooleanField(default=False)),
                ("reminders", models.IntegerField(default=0)),
            ],
        ),
    ]
