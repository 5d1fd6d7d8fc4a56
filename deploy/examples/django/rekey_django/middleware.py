"""Lets rekey count workers. Put it first in MIDDLEWARE, so that a refusal by another
middleware carries the header too."""

from .proof import worker


class RekeyWorker:
    """Tells rekey's checks which process answered. Others learn nothing new."""

    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        response = self.get_response(request)
        if request.META.get("HTTP_USER_AGENT", "").startswith("rekey-check/"):
            response["X-Rekey-Worker"] = worker()
        return response
