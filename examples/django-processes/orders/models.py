from django.db import models


class Order(models.Model):
    article = models.CharField(max_length=100)
    is_paid = models.BooleanField(default=False)
    reminders = models.IntegerField(default=0)
