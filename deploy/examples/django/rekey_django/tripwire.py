"""Notices that somebody signs with a value that was retired: whoever found it in an
old log or backup, or has had it all along.

To tell whose signature it is one must be able to make it. So no fingerprint can be
detect-only in the strict sense. What is kept is the least that works: the two HMAC
states of the retired value (sha256.py), in a file of mode 0600 beside the .env. The
value cannot be had back from them, nothing accepts them, and they are of no use where
the value may have been used besides. A value is recorded when it is seen as a previous
one, never while it is the current one, and forgotten after REKEY_TRIPWIRE_DAYS.

REKEY_TRIPWIRE_FILE names the file; without it there is no tripwire.
"""

import fcntl
import hashlib
import hmac
import json
import logging
import os
import re
import tempfile
import time

from django.conf import settings

from . import sha256

log = logging.getLogger("rekey")

# Strangers choose what is checked here, and each check costs a millisecond or so.
MAX_BODY = 4096
PER_SECOND = 20
KEEP = 4  # retired values of one variable, the newest

_SIGNATURE = re.compile(r"[0-9a-f]{64}")
_entries = []
_spent = [0, 0]  # the second, and how many checks it had


def arm():
    """Records the previous values of this process and loads what is to be watched.
    Called once a process, when the settings are loaded. A file that cannot be read or
    written costs the tripwire and nothing else."""
    del _entries[:]
    path = getattr(settings, "REKEY_TRIPWIRE_FILE", "")
    if not path:
        return
    try:
        _entries.extend(_record(path, getattr(settings, "REKEY_TRIPWIRE_VARIABLES", ())))
    except (OSError, ValueError, KeyError, TypeError) as error:
        log.error("the tripwire for retired secrets is off: %s of %s", type(error).__name__, path)


def tripped(variable, body, signature, valid):
    """Was body signed with a retired value of variable? valid are the values that are
    accepted now and therefore not retired."""
    if len(body) > MAX_BODY or not _SIGNATURE.fullmatch(signature):
        return False
    watched = [e for e in _entries if e["variable"] == variable]
    if not watched or not _may_spend():
        return False
    names = {_name(v) for v in valid if v}
    for e in watched:
        made = sha256.hexdigest(e["inner"], e["outer"], bytes(body))
        if hmac.compare_digest(made, signature) and e["name"] not in names:
            return True
    return False


def _may_spend():
    now = int(time.monotonic())
    if _spent[0] != now:
        _spent[:] = [now, 0]
    _spent[1] += 1
    return _spent[1] <= PER_SECOND


def _name(value):
    """Tells one value from another. Values of 256 bits cannot be guessed from it."""
    return hashlib.sha256(b"rekey-tripwire-v1\n" + value.encode()).hexdigest()[:16]


def _record(path, variables):
    """Brings the file up to date and answers what it holds. Workers start at the same
    time, so it is done under a lock, and the file is replaced whole."""
    now = int(time.time())
    oldest = now - 86400 * getattr(settings, "REKEY_TRIPWIRE_DAYS", 90)
    lock = os.open(path + ".lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        _give(lock, path)
        before = _load(path)
        kept = [e for e in before if e["seen"] > oldest]
        for variable in variables:
            current = getattr(settings, variable, "")
            previous = getattr(settings, variable + "_OLD", "")
            # A value that came back, by a rollback, is not retired any more.
            kept = [e for e in kept if e["variable"] != variable or not current or e["name"] != _name(current)]
            if previous and previous != current:
                kept = [e for e in kept if e["variable"] != variable or e["name"] != _name(previous)]
                inner, outer = sha256.states(previous.encode())
                kept.append({"variable": variable, "name": _name(previous), "inner": inner, "outer": outer, "seen": now})
            mine = [e for e in kept if e["variable"] == variable]
            kept = [e for e in kept if e["variable"] != variable] + mine[-KEEP:]
        if kept != before:
            _store(path, kept)
        return kept
    finally:
        os.close(lock)


def _load(path):
    try:
        with open(path, encoding="utf-8") as f:
            entries = json.load(f)["retired"]
    except FileNotFoundError:
        return []
    for e in entries:
        if len(e["inner"] + e["outer"]) != 128 or not isinstance(e["seen"], int):
            raise ValueError("no entry")
        e["variable"], e["name"]  # KeyError
    return entries


def _store(path, entries):
    handle, temporary = tempfile.mkstemp(dir=os.path.dirname(path) or ".", prefix=".tripwire-")  # mode 0600
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as f:
            _give(handle, path)
            json.dump({"retired": entries}, f)
            f.flush()
            os.fsync(f.fileno())
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def _give(handle, path):
    """Makes what root has made (a management command) the folder's owner's, so that
    the service can read it."""
    if os.geteuid() == 0:
        folder = os.stat(os.path.dirname(path) or ".")
        os.fchown(handle, folder.st_uid, folder.st_gid)
