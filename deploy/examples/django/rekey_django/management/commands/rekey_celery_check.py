"""manage.py rekey_celery_check: a task's round trip, for a check of kind celery."""

import secrets

from celery.exceptions import TimeoutError
from django.core.management.base import BaseCommand, CommandError

from rekey_django.tasks import echo


class Command(BaseCommand):
    help = "Sends a task through the broker to a worker and waits for its result."
    requires_system_checks = []

    def add_arguments(self, parser):
        parser.add_argument("--timeout", type=float, default=10, help="seconds")

    def handle(self, *args, timeout, **options):
        text = secrets.token_hex(16)
        result = echo.apply_async((text,), expires=timeout)
        try:
            answer = result.get(timeout=timeout)
        except TimeoutError:
            raise CommandError("no Celery worker answered within %g s" % timeout)
        finally:
            result.forget()
        if answer != text:
            raise CommandError("the task came back changed")
        self.stdout.write("ok")
