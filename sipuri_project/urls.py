"""The routes of all pages and endpoints."""

from django.contrib import admin
from django.urls import URLPattern, URLResolver, include, path
from django.views.generic import RedirectView
from drf_spectacular.views import SpectacularJSONAPIView

from callflow.api import BxmlCheckViewSet, CallDocumentViewSet
from voiceapps.api.pages import RedocPage, SwaggerPage
from voiceapps.api.router import Router
from voiceapps.api.urls import CALLS

admin.autodiscover()

router = Router()
router.register("v2/bxml-checks", BxmlCheckViewSet)
router.register(f"{CALLS}/<name:call_id>/bxml", CallDocumentViewSet)

urlpatterns: list[URLPattern | URLResolver] = [
    path("", RedirectView.as_view(pattern_name="admin:index")),
    path("", include("voiceapps.api.urls")),
    path("", include(router.urls)),
    path("console/", include("voiceapps.console.urls")),
    path("console/", admin.site.urls),
    path("openapi.json", SpectacularJSONAPIView.as_view(), name="schema"),
    path("docs/api", SwaggerPage.as_view()),
    path("docs/redoc", RedocPage.as_view()),
]

handler400 = "voiceapps.api.fallback.bad_request"
handler403 = "sipuri_project.web.fallback.forbidden"
handler404 = "sipuri_project.web.fallback.not_found"
handler500 = "sipuri_project.web.fallback.server_error"
