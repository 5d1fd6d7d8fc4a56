"""manage.py rekey_sessions --count | --end | --tidy: what SECRET_KEY has minted.

Only what the database knows can be counted and ended by itself. Sessions that live in
cookies or in a cache alone end with the key that signed them.
"""

import json
from datetime import timedelta

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.core.management.base import BaseCommand
from django.utils import timezone
from django.utils.module_loading import import_string

from rekey_django import resetlinks

# Rows are removed in portions, so that no lock is held for long.
PORTION = 1000


class Command(BaseCommand):
    help = "Counts (as JSON), ends or tidies the sessions and password reset links that are alive."
    requires_system_checks = []

    def add_arguments(self, parser):
        verb = parser.add_mutually_exclusive_group(required=True)
        verb.add_argument("--count", action="store_true")
        verb.add_argument("--end", action="store_true")
        verb.add_argument("--tidy", action="store_true", help="remove what has expired, as clearsessions does")

    def handle(self, *args, count, tidy, **options):
        if tidy:
            call_command("clearsessions", stdout=self.stdout, stderr=self.stderr)
            resetlinks.tidy()
            return
        name, found = self.count() if count else self.end()
        links = resetlinks.alive().count() if count else resetlinks.end()
        self.stdout.write(json.dumps({name: found, "password reset links": links}))

    def count(self):
        store = import_string(settings.SESSION_ENGINE + ".SessionStore")
        if hasattr(store, "get_model_class"):
            model = store.get_model_class()
            return "sessions", model.objects.filter(expire_date__gt=timezone.now()).count()
        # Nothing lists them. Who has logged in within the life of a session may have one.
        since = timezone.now() - timedelta(seconds=settings.SESSION_COOKIE_AGE)
        users = get_user_model()._default_manager.filter(last_login__gt=since)
        return "users with a session, at most", users.count()

    def end(self):
        store = import_string(settings.SESSION_ENGINE + ".SessionStore")
        name, found = self.count()
        if not hasattr(store, "get_model_class"):
            self.stderr.write("These sessions are in no database: they end with the key that signed them, once it is no fallback any more.")
            return name, 0
        model = store.get_model_class()
        while True:
            keys = list(model.objects.values_list("pk", flat=True)[:PORTION])
            if not keys:
                return name, found
            for key in keys if hasattr(store, "cache_key") else ():
                store(key).delete()  # cached_db: out of the cache as well
            model.objects.filter(pk__in=keys).delete()
