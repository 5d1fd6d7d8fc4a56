"""rekey's side of a Django service: copy this folder beside manage.py and add
"rekey_django" to INSTALLED_APPS. The README beside it has every setting.

It works on Django 3.2 to 5.x and needs nothing but Django (and Celery for its tasks).
"""
