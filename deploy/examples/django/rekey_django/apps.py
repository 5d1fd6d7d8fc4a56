"""Runs once in each process, when Django has loaded its settings."""

from django.apps import AppConfig


class RekeyConfig(AppConfig):
    name = "rekey_django"
    verbose_name = "rekey"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self):
        from . import fallbacks, tripwire

        fallbacks.install()
        tripwire.arm()
