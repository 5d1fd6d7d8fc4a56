"""The two questions rekey asks: see docs/protocol.md.

    path("rekey/proof/<str:variable>", views.challenge),
    path("rekey/django", views.django_signature),
"""

import logging

from django.conf import settings
from django.core.signing import BadSignature, Signer
from django.http import HttpResponse, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_GET, require_POST

from .address import client_address, from_rekey, may_ask
from .proof import NONCE, proof, worker

log = logging.getLogger("rekey")

SALT = "rekey.proof"
MAX_BODY = 4096


@never_cache
@require_GET
def challenge(request, variable):
    """A keyed proof of the value of variable that this process runs on, for the
    variables listed in REKEY_PROVABLE."""
    if variable not in getattr(settings, "REKEY_PROVABLE", ()) or not may_ask(request):
        return JsonResponse({}, status=404)
    nonce = request.GET.get("nonce", "")
    if not NONCE.fullmatch(nonce):
        return JsonResponse({}, status=400)
    value = getattr(settings, variable, "")
    if not value:
        return JsonResponse({}, status=503)
    return JsonResponse({"proof": proof(value, nonce), "worker": worker()})


@never_cache
@csrf_exempt
@require_POST
def django_signature(request):
    """Does Django itself accept this signature, with SECRET_KEY or a fallback? 204 or
    401. The check is Django's own, so that the answer holds for sessions as well."""
    if not may_ask(request):
        return HttpResponse(status=404)
    if len(request.body) > MAX_BODY:
        return HttpResponse(status=413)
    try:
        body = request.body.decode()
    except UnicodeDecodeError:
        return HttpResponse(status=400)
    given = request.headers.get("X-Signature", "")
    signer = Signer(salt=SALT)
    try:
        signer.unsign(body + ":" + given)
    except BadSignature:
        return HttpResponse(status=401)
    which = "current" if signer.signature(body) == given else "previous"
    text = "check_%s" if from_rekey(request) else "verified_with=%s"
    log.log(
        logging.INFO if which == "previous" else logging.DEBUG,
        text + " variable=SECRET_KEY client=%s POST %s", which, client_address(request), request.path,
    )
    return HttpResponse(status=204)
