"""gunicorn's settings, for a gunicorn started in this folder: gunicorn leather.wsgi

SIGHUP makes new workers, and each loads settings.py, which reads the .env file again.
That is so only without preload_app: with it, the master loads the settings once and a
reload changes nothing.
"""

import os

from gunicorn.glogging import Logger

bind = os.environ.get("LEATHER_BIND", "127.0.0.1:8000")
workers = int(os.environ.get("LEATHER_WORKERS", "4"))
preload_app = False
# Sync workers keep no connection open, so that none is cut by a reload.
worker_class = "sync"
graceful_timeout = 30
timeout = 30
backlog = 1024
pidfile = os.environ.get("LEATHER_PID") or None
_logs = os.environ.get("LEATHER_LOGS", os.path.join(os.path.dirname(os.path.abspath(__file__)), "logs"))
accesslog = os.path.join(_logs, "access.log")
errorlog = os.path.join(_logs, "gunicorn.log")
# Heartbeats of workers: in memory where there is one, as gunicorn's manual advises.
worker_tmp_dir = "/dev/shm" if os.path.isdir("/dev/shm") else None


class BehindProxy(Logger):
    """Writes the client's address where the proxy on this machine names it."""

    def atoms(self, resp, req, environ, request_time):
        atoms = super().atoms(resp, req, environ, request_time)
        told = environ.get("HTTP_X_FORWARDED_FOR", "").rsplit(",", 1)[-1].strip()
        if told and environ.get("REMOTE_ADDR") in ("127.0.0.1", "::1"):
            atoms["h"] = told
        return atoms


logger_class = BehindProxy
