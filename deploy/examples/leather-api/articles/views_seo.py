"""What Next.js calls, signed."""

import json
import logging

from django.db.models import F
from django.http import JsonResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from rekey_django.address import client_address, from_rekey
from rekey_django.signatures import signed

from .models import Article

security_log = logging.getLogger("views_seo")


def _refusal(request, variable):
    """The answer to a request that is not signed with a valid value, else None."""
    if not request.headers.get("X-Signature"):
        return JsonResponse({"error": "Missing signature"}, status=401)
    if not signed(request, variable):
        if not from_rekey(request):
            security_log.warning("Invalid signature from %s on %s %s", client_address(request), request.method, request.path)
        return JsonResponse({"error": "Invalid signature"}, status=403)
    return None


def _asked(request):
    try:
        asked = json.loads(request.body)
    except ValueError:
        asked = None
    return asked if isinstance(asked, dict) else {}


@csrf_exempt
@require_POST
def revalidate(request):
    """Tells which of the pages named exist and are to be made again."""
    refusal = _refusal(request, "REVALIDATE_SECRET")
    if refusal:
        return refusal
    slugs = _asked(request).get("slugs")
    if not isinstance(slugs, list) or not all(isinstance(s, str) for s in slugs):
        return JsonResponse({"error": "slugs"}, status=400)
    known = Article.objects.filter(slug__in=slugs[:100]).values_list("slug", flat=True)
    return JsonResponse({"revalidated": sorted(known)})


@csrf_exempt
@require_POST
def track_view(request):
    """Counts a view of an article."""
    refusal = _refusal(request, "ANALYTICS_SECRET")
    if refusal:
        return refusal
    slug = _asked(request).get("slug")
    if not isinstance(slug, str):
        return JsonResponse({"error": "slug"}, status=400)
    return JsonResponse({"counted": Article.objects.filter(slug=slug).update(views=F("views") + 1)})
