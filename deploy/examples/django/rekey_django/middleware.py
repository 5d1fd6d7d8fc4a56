"""Lets rekey count workers, and keeps its questions out of the evidence. Put it first
in MIDDLEWARE, so that a refusal by another middleware carries the header too."""

from .address import from_rekey
from .proof import worker


class RekeyWorker:
    """Tells rekey's checks which process answered. Others learn nothing new.

    rekey asks with made-up values on purpose, and the refusals look like an attack in
    Django's log. Where REKEY_CHECKS_FROM says which addresses are rekey's, theirs are
    not written there; the access log and the log "rekey" have them.
    """

    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        response = self.get_response(request)
        if request.META.get("HTTP_USER_AGENT", "").startswith("rekey-check/"):
            response["X-Rekey-Worker"] = worker()
            if from_rekey(request):
                response._has_been_logged = True  # django.utils.log.log_response asks
        return response
