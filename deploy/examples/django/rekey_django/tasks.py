"""What rekey asks of Celery workers, which have no HTTP. They need a result backend.
No value travels: a nonce goes in, what was computed with the value comes out."""

from celery import shared_task
from django.conf import settings

from .proof import NONCE, proof, worker


@shared_task(name="rekey.proof", ignore_result=False)
def prove(variable, nonce):
    """The challenge of docs/protocol.md, answered by the worker that takes the task.
    None for a variable that is not one of REKEY_PROVABLE or has no value."""
    value = getattr(settings, variable, "") if variable in getattr(settings, "REKEY_PROVABLE", ()) else ""
    if not value or not NONCE.fullmatch(nonce):
        return None
    return {"proof": proof(value, nonce), "worker": worker()}


@shared_task(name="rekey.echo", ignore_result=False)
def echo(text):
    """Comes back, if the broker, a worker and the result backend all work."""
    return text
