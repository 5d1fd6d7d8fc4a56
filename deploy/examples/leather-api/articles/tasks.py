from celery import shared_task
from django.core.mail import send_mail
from django.utils import timezone

from .models import Subscriber


@shared_task(bind=True, autoretry_for=(OSError,), retry_backoff=True, max_retries=5)
def welcome(self, pk):
    """Sends the welcome mail, once. SMTP's errors are OSErrors, and tried again."""
    subscriber = Subscriber.objects.get(pk=pk)
    if subscriber.welcomed:
        return
    send_mail("Welcome", "You will hear from us.", None, [subscriber.email])
    subscriber.welcomed = timezone.now()
    subscriber.save(update_fields=["welcomed"])
