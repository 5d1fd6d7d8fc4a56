"""Verifies signed requests with the current and the previous value, and says in the
log which one it was: what still signs with the old value can then be named before it
is retired."""

import logging

from django.conf import settings

from . import proof, tripwire
from .address import client_address, from_rekey

log = logging.getLogger("rekey")


def signed(request, variable, header="X-Signature"):
    """Is this request signed with a value of variable that is valid now?

    settings.VARIABLE is the current value, settings.VARIABLE_OLD the previous one. The
    log "rekey" gets one line for each request that verified:

        verified_with=previous variable=REVALIDATE_SECRET client=10.0.0.5 POST /api/revalidate/

    at level INFO for the previous value and DEBUG for the current one. rekey's own
    checks try the old value and made-up ones on purpose; their lines begin with "check_".
    """
    given = request.headers.get(header, "")
    current = getattr(settings, variable, "")
    previous = getattr(settings, variable + "_OLD", "")
    which = proof.verified_with(request.body, given, current, previous)
    if which:
        level = logging.INFO if which == "previous" else logging.DEBUG
        text = "check_%s" if from_rekey(request) else "verified_with=%s"
        log.log(level, text + " variable=%s client=%s %s %s", which, variable, client_address(request), request.method, request.path)
        return True
    if from_rekey(request):
        log.info("check_refused variable=%s client=%s %s %s", variable, client_address(request), request.method, request.path)
    elif tripwire.tripped(variable, request.body, given, (current, previous)):
        log.error("retired secret used: variable=%s client=%s %s %s", variable, client_address(request), request.method, request.path)
    return False
