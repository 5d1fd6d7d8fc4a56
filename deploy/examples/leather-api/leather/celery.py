"""The Celery application: celery -A leather worker

Start it by its console script: on SIGHUP it ends its tasks, then runs itself again and
reads the .env file anew. Started as `python -m celery`, SIGHUP ends it for good.
"""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "leather.settings")
app = Celery("leather")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
