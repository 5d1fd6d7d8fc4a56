"""Password reset links that can be counted and ended.

    PasswordResetView.as_view(token_generator=resetlinks.generator)
    PasswordResetConfirmView.as_view(token_generator=resetlinks.generator)
"""

import hashlib
from datetime import timedelta

from django.conf import settings
from django.contrib.auth.tokens import PasswordResetTokenGenerator
from django.db.models import F
from django.utils import timezone

from .models import ResetLink


class Generator(PasswordResetTokenGenerator):
    """Django's generator, which also takes only tokens it has made and that were not
    ended since."""

    def make_token(self, user):
        token = super().make_token(user)
        ResetLink.objects.get_or_create(token=_hash(token), defaults={"user": user, "made": timezone.now()})
        return token

    def check_token(self, user, token):
        return super().check_token(user, token) and ResetLink.objects.filter(user=user, token=_hash(token)).exists()


generator = Generator()


def alive():
    """The links that may still be used: not too old, and their user has not logged in
    since. One that has been used is counted until then, so it is at most that many."""
    return ResetLink.objects.filter(made__gt=_oldest()).exclude(user__last_login__gt=F("made"))


def end():
    """Ends all links at once and answers how many there were."""
    count = alive().count()
    ResetLink.objects.all().delete()
    return count


def tidy():
    """Removes the traces of links that are too old."""
    ResetLink.objects.filter(made__lte=_oldest()).delete()


def _oldest():
    return timezone.now() - timedelta(seconds=settings.PASSWORD_RESET_TIMEOUT)


def _hash(token):
    return hashlib.sha256(token.encode()).hexdigest()
