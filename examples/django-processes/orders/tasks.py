from celery import shared_task
from django.conf import settings
from django.db.models import F

from .models import Order


@shared_task
def charge(order: int) -> None:
    """Runs in the worker, which alone has the key of the payment service."""
    if settings.PAYMENT_API_KEY:
        Order.objects.filter(pk=order).update(is_paid=True)


@shared_task
def remind() -> None:
    """Runs in the worker whenever the beat sends it."""
    Order.objects.update(reminders=F("reminders") + 1)
