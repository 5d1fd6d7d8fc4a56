"""Who sent a request, and whether rekey did."""

import ipaddress

from django.conf import settings


def client_address(request):
    """The client's address: the peer's, or, where the peer is one of
    REKEY_TRUSTED_PROXIES, the last one that proxy put into X-Forwarded-For. Earlier
    ones are the client's own words."""
    peer = request.META.get("REMOTE_ADDR", "")
    if not _within(peer, getattr(settings, "REKEY_TRUSTED_PROXIES", ("127.0.0.0/8", "::1"))):
        return peer
    told = request.META.get("HTTP_X_FORWARDED_FOR", "").rsplit(",", 1)[-1].strip()
    return told if _parse(told) else peer


def from_rekey(request):
    """Is this one of rekey's checks? The address decides: anybody can copy the agent."""
    agent = request.META.get("HTTP_USER_AGENT", "")
    networks = getattr(settings, "REKEY_CHECKS_FROM", ())
    return agent.startswith("rekey-check/") and _within(client_address(request), networks)


def may_ask(request):
    """May this client ask for proofs? Where REKEY_CHECKS_FROM is not set, all may."""
    networks = getattr(settings, "REKEY_CHECKS_FROM", ())
    return not networks or _within(client_address(request), networks)


def _within(text, networks):
    address = _parse(text)
    return bool(address) and any(address in ipaddress.ip_network(n, strict=False) for n in networks)


def _parse(text):
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None
