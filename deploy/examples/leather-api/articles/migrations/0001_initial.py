from django.db import migrations, models

ID = ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID"))


class Migration(migrations.Migration):
    initial = True
    dependencies = []
    operations = [
        migrations.CreateModel(
            name="Article",
            fields=[
                ID,
                ("slug", models.SlugField(unique=True)),
                ("title", models.CharField(max_length=200)),
                ("views", models.BigIntegerField(default=0)),
            ],
        ),
        migrations.CreateModel(
            name="Subscriber",
            fields=[
                ID,
                ("email", models.EmailField(max_length=254, unique=True)),
                ("welcomed", models.DateTimeField(null=True)),
            ],
        ),
    ]
