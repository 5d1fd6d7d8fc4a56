from django.db import models


class Article(models.Model):
    slug = models.SlugField(unique=True)
    title = models.CharField(max_length=200)
    views = models.BigIntegerField(default=0)


class Subscriber(models.Model):
    email = models.EmailField(unique=True)
    welcomed = models.DateTimeField(null=True)
