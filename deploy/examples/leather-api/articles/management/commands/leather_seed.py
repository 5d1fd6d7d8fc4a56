"""manage.py leather_seed: articles to view and a user to log in as. The user's password
is read from standard input."""

import sys

from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand

from articles.models import Article


class Command(BaseCommand):
    help = "Makes ten articles, and the user editor with the password on standard input."

    def handle(self, *args, **options):
        for n in range(10):
            Article.objects.get_or_create(slug="post-%d" % n, defaults={"title": "Post %d" % n})
        User = get_user_model()
        user, _ = User.objects.get_or_create(username="editor", defaults={"email": "editor@example.com"})
        user.set_password(sys.stdin.readline().rstrip("\n"))
        user.save()
