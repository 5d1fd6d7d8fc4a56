"""python3 -m unittest, in this folder: the helpers on whatever Django is installed."""

import hashlib
import hmac
import json
import logging
import os
import tempfile
import unittest
from contextlib import contextmanager
from io import StringIO

import django
from django.conf import settings

FOLDER = tempfile.TemporaryDirectory()
VALUE = "00112233445566778899aabbccddeeff" * 2
OLD = "ffeeddccbbaa99887766554433221100" * 2
OLDER = "ab" * 32
BODY = b'{"slugs":["test"]}'
NONCE = "rekey-nonce-0001"
KEY, PREVIOUS_KEY = "k" * 25 + "current" * 4, "k" * 25 + "previous" * 4

settings.configure(
    SECRET_KEY=KEY,
    REVALIDATE_SECRET=VALUE,
    REVALIDATE_SECRET_OLD=OLD,
    ANALYTICS_SECRET="",
    REKEY_PROVABLE=["REVALIDATE_SECRET", "ANALYTICS_SECRET"],
    REKEY_TRIPWIRE_FILE=os.path.join(FOLDER.name, "tripwire.json"),
    REKEY_TRIPWIRE_VARIABLES=["REVALIDATE_SECRET"],
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF="test_rekey",
    USE_TZ=True,
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    INSTALLED_APPS=["rekey_django", "django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions"],
    MIDDLEWARE=[
        "rekey_django.middleware.RekeyWorker",
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.middleware.csrf.CsrfViewMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
    ],
)
django.setup()

from django.contrib.auth import get_user_model  # noqa: E402
from django.contrib.auth.tokens import default_token_generator  # noqa: E402
from django.core import signing  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.http import HttpResponse  # noqa: E402
from django.test import Client, RequestFactory, TestCase, override_settings  # noqa: E402
from django.test.runner import DiscoverRunner  # noqa: E402
from django.urls import path  # noqa: E402
from django.views.decorators.csrf import csrf_exempt  # noqa: E402

from rekey_django import address, fallbacks, proof, resetlinks, sha256, signatures, tripwire, views  # noqa: E402


@csrf_exempt
def hook(request):
    return HttpResponse(status=200 if signatures.signed(request, "REVALIDATE_SECRET") else 403)


def whoami(request):
    return HttpResponse(request.user.get_username())


def cart(request):
    request.session.setdefault("cart", "shoes")
    return HttpResponse(request.session["cart"])


urlpatterns = [
    path("hook", hook),
    path("whoami", whoami),
    path("cart", cart),
    path("rekey/proof/<str:variable>", views.challenge),
    path("rekey/django", views.django_signature),
]


def setUpModule():
    global runner, databases
    runner = DiscoverRunner(verbosity=0, interactive=False)
    databases = runner.setup_databases()


def tearDownModule():
    runner.teardown_databases(databases)
    FOLDER.cleanup()


def mac(key, body=BODY):
    return hmac.new(key.encode(), body, hashlib.sha256).hexdigest()


@contextmanager
def rotated(key=KEY + "new", old=KEY):
    """As every process is after a rotation: it signs with key, old is a fallback."""
    with override_settings(SECRET_KEY=key, SECRET_KEY_FALLBACKS=[old] if old else []):
        yield


class Proofs(unittest.TestCase):
    def test_vectors_of_the_protocol(self):
        self.assertEqual(proof.proof(VALUE, NONCE), "851ce3133a137d8b4c65de364ffb75031a3795b9e965015801cccb04e709e029")
        self.assertEqual(proof.sign(VALUE, BODY), "c71fc8e18f35a9cf272905fe23c55e28e580a543486f5f0ab14a4cea9174c520")

    def test_vector_of_djangos_signature(self):
        signature = signing.Signer(key=VALUE, salt=views.SALT).signature("rekey")
        self.assertEqual(signature, "ZGl141bWYen5IU3AXP0hyYAyHArogMLdQgyOKh4cxWE")

    def test_which_value_verified(self):
        for name, signature, current, previous, want in [
            ("current", mac(VALUE), VALUE, OLD, "current"),
            ("previous", mac(OLD), VALUE, OLD, "previous"),
            ("both the same", mac(VALUE), VALUE, VALUE, "current"),
            ("neither", mac("x"), VALUE, OLD, ""),
            ("no previous", mac(OLD), VALUE, "", ""),
            ("empty key", mac(""), VALUE, "", ""),
            ("empty key, none set", mac(""), "", "", ""),
            ("the stand-in of an empty key", hmac.new(b"\0", BODY, hashlib.sha256).hexdigest(), "", "", ""),
            ("none", "", VALUE, OLD, ""),
            ("upper case", mac(VALUE).upper(), VALUE, OLD, ""),
            ("cut short", mac(VALUE)[:63], VALUE, OLD, ""),
            ("outside ASCII", "\u00e9" * 64, VALUE, OLD, ""),
            ("half a character", "\udce9" * 64, VALUE, OLD, ""),
            ("a proof", proof.proof(VALUE, NONCE), VALUE, OLD, ""),
        ]:
            with self.subTest(name):
                self.assertEqual(proof.verified_with(BODY, signature, current, previous), want)

    def test_hmac_from_its_states(self):
        for length in (0, 1, 55, 56, 63, 64, 65, 119, 120, 4096):
            for key in (b"k", b"\xff" * 64, b"\xff" * 65):
                message = bytes(i % 256 for i in range(length))
                want = hmac.new(key, message, hashlib.sha256).hexdigest()
                self.assertEqual(sha256.hexdigest(*sha256.states(key), message), want, (length, len(key)))


class Addresses(unittest.TestCase):
    def test_only_the_proxy_is_believed(self):
        for peer, told, want in [
            ("198.51.100.7", "10.0.0.1", "198.51.100.7"),
            ("127.0.0.1", "10.0.0.1", "10.0.0.1"),
            ("127.0.0.1", "6.6.6.6, 10.0.0.1", "10.0.0.1"),
            ("127.0.0.1", "10.0.0.1, nonsense", "127.0.0.1"),
            ("127.0.0.1", "", "127.0.0.1"),
            ("::1", "2001:db8::1", "2001:db8::1"),
        ]:
            request = RequestFactory().get("/", REMOTE_ADDR=peer, HTTP_X_FORWARDED_FOR=told)
            self.assertEqual(address.client_address(request), want, (peer, told))


class Requests(TestCase):
    def post(self, signature, **headers):
        return self.client.post("/hook", BODY, content_type="application/json", HTTP_X_SIGNATURE=signature, **headers)

    def test_both_values_are_taken_and_told_apart(self):
        with self.assertLogs("rekey", "DEBUG") as seen:
            self.assertEqual(self.post(mac(VALUE)).status_code, 200)
            self.assertEqual(self.post(mac(OLD), HTTP_X_FORWARDED_FOR="10.0.0.5").status_code, 200)
        self.assertEqual(seen.output, [
            "DEBUG:rekey:verified_with=current variable=REVALIDATE_SECRET client=127.0.0.1 POST /hook",
            "INFO:rekey:verified_with=previous variable=REVALIDATE_SECRET client=10.0.0.5 POST /hook",
        ])

    def test_signatures_of_strangers(self):
        for signature in ("", mac("x"), mac(""), "\u00e9" * 64, "a" * 100000):
            self.assertEqual(self.post(signature).status_code, 403)

    @override_settings(REKEY_CHECKS_FROM=["192.0.2.0/24"])
    def test_only_rekeys_address_makes_a_check_of_it(self):
        for agent, peer, want in [
            ("rekey-check/1", "192.0.2.9", "check_previous"),
            ("rekey-check/1", "198.51.100.7", "verified_with=previous"),
            ("curl/8", "192.0.2.9", "verified_with=previous"),
        ]:
            with self.assertLogs("rekey", "INFO") as seen:
                self.post(mac(OLD), HTTP_USER_AGENT=agent, REMOTE_ADDR=peer)
            self.assertIn(":" + want + " variable=", seen.output[0])

    @override_settings(REKEY_CHECKS_FROM=["192.0.2.0/24"])
    def test_rekeys_questions_are_no_evidence(self):
        for agent, peer, ours in [("rekey-check/1", "192.0.2.9", True), ("rekey-check/1", "198.51.100.7", False), ("curl/8", "192.0.2.9", False)]:
            with self.subTest(agent + " " + peer), self.assertLogs("django.request", "WARNING") as seen:
                logging.getLogger("django.request").warning("a line of the test's own")
                self.assertEqual(self.post(mac("x"), HTTP_USER_AGENT=agent, REMOTE_ADDR=peer).status_code, 403)
            self.assertEqual(any("Forbidden: /hook" in line for line in seen.output), not ours)

    def test_the_challenge(self):
        response = self.client.get("/rekey/proof/REVALIDATE_SECRET", {"nonce": NONCE})
        self.assertEqual(response.json(), {"proof": proof.proof(VALUE, NONCE), "worker": proof.worker()})
        self.assertIn("no-store", response["Cache-Control"])
        for where, nonce, status in [
            ("REVALIDATE_SECRET", "", 400), ("REVALIDATE_SECRET", "short", 400), ("REVALIDATE_SECRET", NONCE + "\n", 400),
            ("REVALIDATE_SECRET", "n" * 129, 400), ("REVALIDATE_SECRET", NONCE + "\u00e9", 400),
            ("ANALYTICS_SECRET", NONCE, 503), ("SECRET_KEY", NONCE, 404), ("__class__", NONCE, 404),
        ]:
            self.assertEqual(self.client.get("/rekey/proof/" + where, {"nonce": nonce}).status_code, status, (where, nonce))

    @override_settings(REKEY_CHECKS_FROM=["192.0.2.0/24"])
    def test_proofs_for_rekeys_addresses_alone(self):
        ask = "/rekey/proof/REVALIDATE_SECRET"
        self.assertEqual(self.client.get(ask, {"nonce": NONCE}, REMOTE_ADDR="192.0.2.9").status_code, 200)
        self.assertEqual(self.client.get(ask, {"nonce": NONCE}, REMOTE_ADDR="198.51.100.7").status_code, 404)
        self.assertEqual(self.client.post("/rekey/django", b"x", content_type="text/plain", REMOTE_ADDR="198.51.100.7").status_code, 404)

    def test_workers_are_named_to_rekey_alone(self):
        self.assertEqual(self.client.get("/cart", HTTP_USER_AGENT="rekey-check/1")["X-Rekey-Worker"], proof.worker())
        self.assertFalse(self.client.get("/cart").has_header("X-Rekey-Worker"))

    def ask_django(self, key, body=b"rekey"):
        signature = signing.Signer(key=key, salt="rekey.proof").signature(body.decode("latin-1"))
        return self.client.post("/rekey/django", body, content_type="text/plain", HTTP_X_SIGNATURE=signature).status_code

    def test_djangos_signature(self):
        with override_settings(SECRET_KEY_FALLBACKS=[PREVIOUS_KEY]):
            self.assertEqual(self.ask_django(KEY), 204)
            self.assertEqual(self.ask_django(PREVIOUS_KEY), 204)
            self.assertEqual(self.ask_django("another"), 401)
            self.assertEqual(self.ask_django(KEY, b"a:b:c"), 204)
        self.assertEqual(self.ask_django(PREVIOUS_KEY), 401)
        self.assertEqual(self.ask_django(KEY, b"\xe9"), 400)
        self.assertEqual(self.ask_django(KEY, b"x" * 5000), 413)
        strange = self.client.post("/rekey/django", b"rekey", content_type="text/plain", HTTP_X_SIGNATURE="\u00e9:\u00e9")
        self.assertEqual(strange.status_code, 401)


class Tripwire(TestCase):
    def setUp(self):
        self.file = settings.REKEY_TRIPWIRE_FILE
        self.addCleanup(tripwire.arm)
        self.addCleanup(lambda: os.path.exists(self.file) and os.unlink(self.file))
        tripwire._spent[:] = [0, 0]

    def trip(self, key, body=BODY):
        return tripwire.tripped("REVALIDATE_SECRET", body, mac(key, body), (VALUE, settings.REVALIDATE_SECRET_OLD))

    def test_a_previous_value_trips_once_it_is_retired(self):
        tripwire.arm()
        self.assertFalse(self.trip(OLD), "it is still valid")
        with override_settings(REVALIDATE_SECRET_OLD=""):
            tripwire.arm()
            self.assertTrue(self.trip(OLD))
            self.assertFalse(self.trip(VALUE))
            self.assertFalse(self.trip("x"))
            with self.assertLogs("rekey", "ERROR") as seen:
                response = self.client.post("/hook", BODY, content_type="application/json", HTTP_X_SIGNATURE=mac(OLD), HTTP_X_FORWARDED_FOR="203.0.113.9")
            self.assertEqual(response.status_code, 403)
            self.assertEqual(seen.output, ["ERROR:rekey:retired secret used: variable=REVALIDATE_SECRET client=203.0.113.9 POST /hook"])

    def test_the_file_gives_no_value_away(self):
        tripwire.arm()
        self.assertEqual(os.stat(self.file).st_mode & 0o777, 0o600)
        with open(self.file) as f:
            text = f.read()
        for form in (OLD, VALUE, hashlib.sha256(OLD.encode()).hexdigest(), OLD.encode().hex()):
            self.assertNotIn(form, text)
        self.assertNotIn(sha256.states(VALUE.encode())[0], text, "the current value must not be in it")

    def test_a_value_that_came_back_is_forgotten(self):
        tripwire.arm()
        with override_settings(REVALIDATE_SECRET=OLD, REVALIDATE_SECRET_OLD=""):
            tripwire.arm()
            self.assertEqual(json.load(open(self.file))["retired"], [])

    def test_only_the_newest_are_kept_and_for_a_time(self):
        for n in range(8):
            with override_settings(REVALIDATE_SECRET_OLD=OLD + str(n)):
                tripwire.arm()
        with override_settings(REVALIDATE_SECRET_OLD=""):
            tripwire.arm()
            self.assertEqual([self.trip(OLD + str(n)) for n in range(8)], [False] * 4 + [True] * 4)
            with override_settings(REKEY_TRIPWIRE_DAYS=-1):
                tripwire.arm()
            self.assertFalse(self.trip(OLD + "7"))

    def test_a_broken_file_costs_the_tripwire_alone(self):
        for text in ("", "{", "[]", '{"retired": [1]}', '{"retired": [{"inner": "", "outer": "", "seen": 1}]}'):
            with open(self.file, "w") as f:
                f.write(text)
            with self.assertLogs("rekey", "ERROR"):
                tripwire.arm()
            self.assertFalse(self.trip(OLD))

    def test_strangers_cannot_make_it_work_hard(self):
        tripwire.arm()
        with override_settings(REVALIDATE_SECRET_OLD=""):
            tripwire.arm()
            self.assertFalse(self.trip(OLD, b"x" * 5000))
            found = [self.trip(OLD) for _ in range(3 * tripwire.PER_SECOND)]
            self.assertTrue(found[0])
            self.assertIn(False, found)


class Fallbacks(TestCase):
    """The same must hold on every Django: before 4.1 by fallbacks.py, later by itself."""

    def setUp(self):
        self.user = get_user_model().objects.create_user("editor", "editor@example.com", "a password")

    def test_nothing_is_patched_where_django_can(self):
        self.assertEqual(signing.Signer.unsign is fallbacks.unsign, django.VERSION < (4, 1))

    def test_signatures(self):
        signed, stamped, packed = signing.Signer().sign("x"), signing.TimestampSigner().sign("x"), signing.dumps({"a": 1})
        with rotated():
            self.assertEqual(signing.Signer().unsign(signed), "x")
            self.assertEqual(signing.TimestampSigner().unsign(stamped, max_age=60), "x")
            self.assertEqual(signing.loads(packed), {"a": 1})
            self.assertNotEqual(signing.Signer().sign("x"), signed, "a fallback must not sign")
            with self.assertRaises(signing.BadSignature):
                signing.Signer(salt="another").unsign(signed)
            with self.assertRaises(signing.BadSignature):
                signing.Signer().unsign(signed + "x")
            with self.assertRaises(signing.SignatureExpired):
                signing.TimestampSigner().unsign(stamped, max_age=-1)
        with rotated(old=""), self.assertRaises(signing.BadSignature):
            signing.Signer().unsign(signed)

    def test_signed_cookies(self):
        response = HttpResponse()
        response.set_signed_cookie("taste", "leather")
        request = RequestFactory().get("/")
        request.COOKIES["taste"] = response.cookies["taste"].value
        with rotated():
            self.assertEqual(request.get_signed_cookie("taste"), "leather")
        with rotated(old=""), self.assertRaises(signing.BadSignature):
            request.get_signed_cookie("taste")

    def test_sessions(self):
        for engine in ("db", "signed_cookies"):
            with self.subTest(engine), override_settings(SESSION_ENGINE="django.contrib.sessions.backends." + engine):
                client = Client()
                self.assertTrue(client.login(username="editor", password="a password"))
                self.assertEqual(client.get("/cart").content, b"shoes")
                with rotated():
                    self.assertEqual(client.get("/whoami").content, b"editor")
                    self.assertEqual(client.get("/cart").content, b"shoes")
                # It was seen during the overlap and so outlives it.
                with rotated(old=""):
                    self.assertEqual(client.get("/whoami").content, b"editor")

    def test_sessions_end_with_a_key_that_is_no_fallback(self):
        for engine in ("db", "signed_cookies"):
            with self.subTest(engine), override_settings(SESSION_ENGINE="django.contrib.sessions.backends." + engine):
                client = Client()
                self.assertTrue(client.login(username="editor", password="a password"))
                with rotated(old=""):
                    self.assertEqual(client.get("/whoami").content, b"")
                client = Client()
                self.assertTrue(client.login(username="editor", password="a password"))
                with rotated(old="something else"):
                    self.assertEqual(client.get("/whoami").content, b"")

    def test_the_documented_order_and_the_safe_one(self):
        """Django ticket 35400: a key must be known everywhere before anybody signs with it."""
        client = Client()
        with rotated(KEY, KEY + "new"):  # the new key is published as a fallback
            self.assertTrue(client.login(username="editor", password="a password"))
        for _ in range(3):  # workers of both kinds answer side by side
            with rotated(KEY + "new", KEY):
                self.assertEqual(client.get("/whoami").content, b"editor")
            with rotated(KEY, KEY + "new"):
                self.assertEqual(client.get("/whoami").content, b"editor")

    def test_a_changed_password_ends_sessions_all_the_same(self):
        client = Client()
        self.assertTrue(client.login(username="editor", password="a password"))
        self.user.set_password("another password")
        self.user.save()
        with rotated():
            self.assertEqual(client.get("/whoami").content, b"")

    def test_reset_links(self):
        for generator in (default_token_generator, resetlinks.generator):
            token = generator.make_token(self.user)
            # A process makes its generators anew when it starts.
            again = type(generator)
            with rotated():
                self.assertTrue(again().check_token(self.user, token))
                self.assertFalse(again().check_token(self.user, token + "x"))
                self.assertFalse(again().check_token(self.user, "nonsense"))
                self.assertFalse(again().check_token(None, token))
            with rotated(old=""):
                self.assertFalse(again().check_token(self.user, token))

    def test_an_empty_fallback_is_refused(self):
        with override_settings(SECRET_KEY_FALLBACKS=[""]), self.assertRaises(ValueError):
            fallbacks.fallbacks()


class Sessions(TestCase):
    def said(self, verb):
        out = StringIO()
        call_command("rekey_sessions", verb, stdout=out, stderr=StringIO())
        return json.loads(out.getvalue())

    def test_counted_and_ended(self):
        user = get_user_model().objects.create_user("editor", "editor@example.com", "a password")
        clients = [Client() for _ in range(3)]
        for client in clients:
            client.login(username="editor", password="a password")
        token = resetlinks.generator.make_token(user)
        self.assertEqual(self.said("--count"), {"sessions": 3, "password reset links": 1})
        call_command("rekey_sessions", "--tidy", stdout=StringIO())
        self.assertEqual(self.said("--count"), {"sessions": 3, "password reset links": 1})
        self.assertEqual(self.said("--end"), {"sessions": 3, "password reset links": 1})
        self.assertEqual(self.said("--count"), {"sessions": 0, "password reset links": 0})
        self.assertFalse(resetlinks.generator.check_token(user, token))
        self.assertEqual([c.get("/whoami").content for c in clients], [b""] * 3)

    def test_links_that_cannot_be_used_are_not_counted(self):
        user = get_user_model().objects.create_user("editor", "editor@example.com", "a password")
        resetlinks.generator.make_token(user)
        with override_settings(PASSWORD_RESET_TIMEOUT=-1):
            self.assertEqual(self.said("--count")["password reset links"], 0)
            resetlinks.tidy()
        self.assertEqual(self.said("--count")["password reset links"], 0)
        resetlinks.generator.make_token(user)
        Client().login(username="editor", password="a password")
        self.assertEqual(self.said("--count")["password reset links"], 0)

    def test_sessions_nobody_can_list(self):
        for engine in ("signed_cookies", "cache"):
            with override_settings(SESSION_ENGINE="django.contrib.sessions.backends." + engine):
                get_user_model().objects.create_user(engine, "", "a password")
                Client().login(username=engine, password="a password")
                self.assertIn("users with a session, at most", self.said("--count"))
                self.assertEqual(self.said("--end")["users with a session, at most"], 0)


if __name__ == "__main__":
    unittest.main()
