"""leather-api: the Django service of the guide, as an example that really runs."""

from .celery import app as celery_app

__all__ = ["celery_app"]
