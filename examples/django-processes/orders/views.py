from django.http import HttpRequest, JsonResponse

from .models import Order
from .tasks import charge


def health(_: HttpRequest) -> JsonResponse:
    return JsonResponse({"orders": Order.objects.count()})


def orders(request: HttpRequest) -> JsonResponse:
    if request.method == "POST":
        order = Order.objects.create(article="a book")
        charge.delay(order.pk)
    every = Order.objects.order_by("pk").values("article", "is_paid", "reminders")
    return JsonResponse({"orders": list(every)})
