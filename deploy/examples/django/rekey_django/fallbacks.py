"""SECRET_KEY_FALLBACKS for Django before 4.1, which knows no such setting.

Django 4.1 and later do this themselves and are left alone. Before, apps.py calls
install(), and from then on a key in SECRET_KEY_FALLBACKS verifies, and never signs:

- whatever django.core.signing signed: signed cookies, sessions of the signed_cookies
  backend, the contents of sessions in the database, messages in cookies;
- the hash that ties a session to the user's password. As in Django 4.1 a session that
  was verified with a fallback is given the current hash, so that it outlives the
  fallback;
- password reset links.

Not covered, as in Django: signers that were given a key of their own. Not covered
either: sessions and links in the formats of Django before 3.1.
"""

import copy

import django
from django.conf import settings
from django.contrib import auth
from django.contrib.auth.tokens import PasswordResetTokenGenerator
from django.core import signing
from django.utils.crypto import constant_time_compare, salted_hmac
from django.utils.encoding import force_bytes

# The prefix get_cookie_signer puts before the key.
_COOKIES = b"django.http.cookies"
_HASH_SALT = "django.contrib.auth.models.AbstractBaseUser.get_session_auth_hash"

_unsign = signing.Signer.unsign
_check_token = PasswordResetTokenGenerator.check_token
_get_user = auth.get_user


def needed():
    """Does this Django lack fallbacks?"""
    return django.VERSION < (4, 1)


def install():
    """Adds fallbacks to this process, once. It is harmless without any."""
    if needed() and signing.Signer.unsign is _unsign:
        signing.Signer.unsign = unsign
        PasswordResetTokenGenerator.check_token = check_token
        auth.get_user = get_user


def fallbacks():
    """The keys that verify besides SECRET_KEY. An empty one is a configuration fault
    that must not become a key everybody knows."""
    keys = getattr(settings, "SECRET_KEY_FALLBACKS", ())
    if not all(keys):
        raise ValueError("SECRET_KEY_FALLBACKS holds an empty key")
    return keys


def _keys_like(key):
    """The fallbacks in the shape in which key holds SECRET_KEY."""
    if key == settings.SECRET_KEY:
        return list(fallbacks())
    if force_bytes(key) == _COOKIES + force_bytes(settings.SECRET_KEY):
        return [_COOKIES + force_bytes(k) for k in fallbacks()]
    return []


def unsign(self, signed_value):
    try:
        return _unsign(self, signed_value)
    except signing.BadSignature:
        for key in _keys_like(self.key):
            other = copy.copy(self)
            other.key = key
            try:
                return _unsign(other, signed_value)
            except signing.BadSignature:
                continue
        raise


def check_token(self, user, token):
    if _check_token(self, user, token):
        return True
    for key in _keys_like(self.secret):
        other = copy.copy(self)
        other.secret = key
        if _check_token(other, user, token):
            return True
    return False


def get_user(request):
    """auth.get_user of Django 4.1: a session whose hash fits under a fallback goes on,
    with the current hash; one that fits under no key ends. Unlike there the session
    keeps its name: a new one would turn away what the browser has asked for meanwhile."""
    from django.contrib.auth.models import AnonymousUser  # models load after apps

    keys = fallbacks()
    if not keys:
        return _get_user(request)
    try:
        user_id = auth._get_user_session_key(request)
        path = request.session[auth.BACKEND_SESSION_KEY]
    except KeyError:
        return AnonymousUser()
    if path not in settings.AUTHENTICATION_BACKENDS:
        return AnonymousUser()
    user = auth.load_backend(path).get_user(user_id)
    if hasattr(user, "get_session_auth_hash"):
        given = request.session.get(auth.HASH_SESSION_KEY) or ""
        current = user.get_session_auth_hash()
        if not constant_time_compare(given, current):
            if not any(constant_time_compare(given, _hash_under(user, key)) for key in keys):
                request.session.flush()
                return AnonymousUser()
            request.session[auth.HASH_SESSION_KEY] = current
    return user or AnonymousUser()


def _hash_under(user, key):
    """AbstractBaseUser.get_session_auth_hash under another key. A user model with a
    hash of its own does not fit, and its sessions end with the rotation."""
    algorithm = getattr(settings, "DEFAULT_HASHING_ALGORITHM", "sha256")
    return salted_hmac(_HASH_SALT, user.password, secret=key, algorithm=algorithm).hexdigest()
