from django.contrib.auth import views as auth
from django.urls import path, reverse_lazy

from articles import views, views_seo
from rekey_django import resetlinks
from rekey_django import views as rekey

urlpatterns = [
    path("api/revalidate/", views_seo.revalidate),
    path("api/track-view/", views_seo.track_view),
    path("api/healthcheck/", views.healthcheck),
    path("api/articles/", views.articles),
    path("api/subscribe/", views.subscribe),
    path("api/crash/", views.crash),
    path("login/", auth.LoginView.as_view(template_name="login.html")),
    path("account/", views.account, name="account"),
    path(
        "password-reset/",
        auth.PasswordResetView.as_view(
            template_name="login.html",
            email_template_name="reset.txt",
            token_generator=resetlinks.generator,
            success_url=reverse_lazy("account"),
        ),
    ),
    path(
        "password-reset/<uidb64>/<token>/",
        auth.PasswordResetConfirmView.as_view(
            template_name="login.html",
            token_generator=resetlinks.generator,
            success_url=reverse_lazy("account"),
        ),
        name="password_reset_confirm",
    ),
    path("rekey/proof/<str:variable>", rekey.challenge),
    path("rekey/django", rekey.django_signature),
]
