"""Where each page and endpoint lies."""

from django.contrib import admin
from django.urls import URLPattern, URLResolver, include, path
from django.views.generic import RedirectView
from drf_spectacular.views import SpectacularJSONAPIView, SpectacularRedocView, SpectacularSwaggerView

from callflow.api import BxmlCheckList

admin.autodiscover()

urlpatterns: list[URLPattern | URLResolver] = [
    path("", RedirectView.as_view(pattern_name="admin:index")),
    path("", include("voiceapps.api.urls")),
    path("v2/bxml-checks", BxmlCheckList.as_view()),
    path("console/", admin.site.urls),
    path("openapi.json", SpectacularJSONAPIView.as_view(), name="schema"),
    path("docs/api", SpectacularSwaggerView.as_view(url_name="schema")),
    path("docs/redoc", SpectacularRedocView.as_view(url_name="schema")),
]

handler404 = "voiceapps.api.fallback.not_found"
handler500 = "voiceapps.api.fallback.server_error"
