"""manage.py rekey_celery_proof [--variable NAME] NONCE: the challenge, answered by a
Celery worker, for `challenge: {command: …}` in rekey.yaml."""

import json

from celery.exceptions import TimeoutError
from django.core.management.base import BaseCommand, CommandError

from rekey_django.proof import NONCE
from rekey_django.tasks import prove


class Command(BaseCommand):
    help = "Asks one Celery worker for a proof of the value it runs on and prints it as JSON."
    requires_system_checks = []

    def add_arguments(self, parser):
        parser.add_argument("nonce", help="16 to 128 characters of A-Z a-z 0-9 _ -")
        parser.add_argument("--variable", default="SECRET_KEY")
        parser.add_argument("--timeout", type=float, default=10, help="seconds")

    def handle(self, *args, nonce, variable, timeout, **options):
        if not NONCE.fullmatch(nonce):
            raise CommandError("the nonce must have 16 to 128 characters of A-Z a-z 0-9 _ -")
        # A task nobody took in time is worth nothing: it must not be answered later.
        result = prove.apply_async((variable, nonce), expires=timeout)
        try:
            answer = result.get(timeout=timeout)
        except TimeoutError:
            raise CommandError("no Celery worker answered within %g s" % timeout)
        finally:
            result.forget()
        if answer is None:
            raise CommandError("the worker gives no proof of %s: is it in REKEY_PROVABLE, and set?" % variable)
        self.stdout.write(json.dumps(answer))
