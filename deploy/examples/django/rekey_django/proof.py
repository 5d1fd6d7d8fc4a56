"""What rekey's protocol computes. No framework is needed here.

docs/protocol.md is the specification and has test vectors.
"""

import hashlib
import hmac
import os
import re
import socket

NONCE = re.compile(r"[A-Za-z0-9_-]{16,128}")


def verified_with(body, signature, current, previous=""):
    """Which value made signature, the hex HMAC-SHA256 of body: "current", "previous"
    or "" for neither. An empty value never verifies anything.

    Both are always computed and compared as bytes: hmac.compare_digest raises on text
    outside ASCII, which any stranger can send.
    """
    given = signature.encode("utf-8", "replace")
    found = ""
    for name, value in (("previous", previous), ("current", current)):
        key = value.encode() if value else b"\0"
        expected = hmac.new(key, body, hashlib.sha256).hexdigest().encode()
        if hmac.compare_digest(expected, given) and value:
            found = name
    return found


def sign(value, body):
    """The signature of body for the header X-Signature."""
    return hmac.new(value.encode(), body, hashlib.sha256).hexdigest()


def proof(value, nonce):
    """The answer to rekey's challenge. The prefix keeps it from signing a request."""
    message = b"rekey-proof-v1\n" + nonce.encode()
    return hmac.new(value.encode(), message, hashlib.sha256).hexdigest()


def worker():
    """Names this process. Asked at each request: a name made before fork() is shared."""
    return "%s-%d" % (socket.gethostname(), os.getpid())
