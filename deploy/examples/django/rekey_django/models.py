"""What can be counted before a rotation. Sessions are Django's own table; reset links
leave no trace in Django, so rekey's generator keeps one."""

from django.conf import settings
from django.db import models


class ResetLink(models.Model):
    """A password reset link that was made. token is a hash: the row is no key to
    anybody's account."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    token = models.CharField(max_length=64, unique=True)
    made = models.DateTimeField(db_index=True)
