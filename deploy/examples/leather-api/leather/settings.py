"""Settings of leather-api. All secrets come from the .env file, read anew by each
process that starts; see gunicorn.conf.py."""

import os
import sys
from pathlib import Path

from . import database, env

BASE_DIR = Path(__file__).resolve().parent.parent
# rekey_django is copied beside manage.py in a service of your own.
sys.path.append(str(BASE_DIR.parent / "django"))

ENV = env.read(os.environ.get("LEATHER_ENV", BASE_DIR / ".env"))
LOGS = Path(os.environ.get("LEATHER_LOGS", BASE_DIR / "logs"))

DEBUG = ENV.get("DEBUG") == "True"
ALLOWED_HOSTS = ENV.get("ALLOWED_HOSTS", "localhost").split(",")

# The secrets of the guide. A previous value is set during an overlap.
SECRET_KEY = ENV["SECRET_KEY"]
SECRET_KEY_FALLBACKS = [key for key in [ENV.get("SECRET_KEY_OLD")] if key]
REVALIDATE_SECRET = ENV["REVALIDATE_SECRET"]
REVALIDATE_SECRET_OLD = ENV.get("REVALIDATE_SECRET_OLD", "")
ANALYTICS_SECRET = ENV["ANALYTICS_SECRET"]
ANALYTICS_SECRET_OLD = ENV.get("ANALYTICS_SECRET_OLD", "")
DATABASE_URL = ENV["DATABASE_URL"]
SENTRY_DSN = ENV.get("SENTRY_DSN", "")
EMAIL_HOST_PASSWORD = ENV.get("EMAIL_HOST_PASSWORD", "")

DATABASES = {"default": database.parse(DATABASE_URL)}

EMAIL_HOST = ENV.get("EMAIL_HOST", "localhost")
EMAIL_PORT = int(ENV.get("EMAIL_PORT", "587"))
EMAIL_HOST_USER = ENV.get("EMAIL_HOST_USER", "")
EMAIL_USE_SSL = EMAIL_PORT == 465
EMAIL_USE_TLS = not EMAIL_USE_SSL and bool(EMAIL_HOST_USER)
EMAIL_TIMEOUT = 10
DEFAULT_FROM_EMAIL = ENV.get("DEFAULT_FROM_EMAIL", "noreply@example.com")

CELERY_BROKER_URL = ENV.get("REDIS_URL", "redis://localhost:6379/0")
CELERY_RESULT_BACKEND = CELERY_BROKER_URL
CELERY_RESULT_EXPIRES = 300
CELERY_TASK_IGNORE_RESULT = True
# A task that was taken by a worker that ended is given to another.
CELERY_TASK_ACKS_LATE = True

# What rekey may ask for, and from where.
REKEY_PROVABLE = ["SECRET_KEY", "REVALIDATE_SECRET", "ANALYTICS_SECRET", "EMAIL_HOST_PASSWORD", "DATABASE_URL", "SENTRY_DSN"]
REKEY_CHECKS_FROM = [net for net in ENV.get("REKEY_CHECKS_FROM", "127.0.0.0/8,::1").split(",") if net]
REKEY_TRIPWIRE_FILE = ENV.get("REKEY_TRIPWIRE_FILE", str(BASE_DIR / "tripwire.json"))
REKEY_TRIPWIRE_VARIABLES = ["REVALIDATE_SECRET", "ANALYTICS_SECRET"]

INSTALLED_APPS = [
    "rekey_django",
    "articles",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
]
MIDDLEWARE = [
    "rekey_django.middleware.RekeyWorker",
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]
ROOT_URLCONF = "leather.urls"
WSGI_APPLICATION = "leather.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
SESSION_ENGINE = ENV.get("SESSION_ENGINE", "django.contrib.sessions.backends.db")
LOGIN_URL = "/login/"
LOGIN_REDIRECT_URL = "/account/"
TIME_ZONE = "UTC"
USE_TZ = True

# WatchedFileHandler goes on in a new file after logrotate has moved the old one.
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "verbose": {"format": "{levelname} {asctime} {module} {process:d} {thread:d} {message}", "style": "{"},
        "security": {"format": "{levelname} {asctime} {name} {message}", "style": "{"},
    },
    "handlers": {
        "django": {"class": "logging.handlers.WatchedFileHandler", "filename": LOGS / "django.log", "formatter": "verbose"},
        "security": {"class": "logging.handlers.WatchedFileHandler", "filename": LOGS / "security.log", "formatter": "security"},
        "rekey": {"class": "logging.handlers.WatchedFileHandler", "filename": LOGS / "rekey.log", "formatter": "security"},
    },
    "loggers": {
        "django": {"handlers": ["django"], "level": "INFO"},
        "views_seo": {"handlers": ["security"], "level": "INFO"},
        "rekey": {"handlers": ["rekey"], "level": "INFO"},
    },
}

if SENTRY_DSN:
    import sentry_sdk
    from sentry_sdk.integrations.celery import CeleryIntegration
    from sentry_sdk.integrations.django import DjangoIntegration

    # Settings stay out of what is sent: no request bodies, no local variables.
    sentry_sdk.init(
        dsn=SENTRY_DSN,
        integrations=[DjangoIntegration(middleware_spans=False), CeleryIntegration()],
        send_default_pii=False,
        with_locals=False,
        request_bodies="never",
        auto_session_tracking=False,
    )
