"""The rest of the API: what needs the database, a session, mail and Sentry."""

from django.contrib.auth.decorators import login_required
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import connection
from django.http import JsonResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_GET, require_POST

from rekey_django.address import may_ask

from .models import Article, Subscriber
from .tasks import welcome


@require_GET
def healthcheck(request):
    """200 when the database answers; a failure is a 500."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    return JsonResponse({"status": "ok"})


@require_GET
def articles(request):
    return JsonResponse({"articles": list(Article.objects.order_by("-views", "slug").values("slug", "title", "views")[:20])})


@csrf_exempt
@require_POST
def subscribe(request):
    """Keeps an address and lets Celery send the welcome mail."""
    email = request.POST.get("email", "")
    try:
        validate_email(email)
    except ValidationError:
        return JsonResponse({"error": "email"}, status=400)
    subscriber, _ = Subscriber.objects.get_or_create(email=email)
    welcome.delay(subscriber.pk)
    return JsonResponse({"subscribed": True})


@login_required
@require_GET
def account(request):
    return JsonResponse({"user": request.user.get_username()})


def crash(request):
    """Fails, so that Sentry has something to hear of. For rekey's addresses alone."""
    if not may_ask(request):
        return JsonResponse({}, status=404)
    raise RuntimeError("leather-api was asked to fail")
