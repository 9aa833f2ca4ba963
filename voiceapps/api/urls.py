"""The API's paths, without trailing slashes (D16)."""

from django.urls import path
from oauth2_provider.views import TokenView

from voiceapps.api import views

urlpatterns = [
    path("healthz", views.healthz),
    path("api/v1/oauth2/token", TokenView.as_view()),
    path("v2/accounts/<str:account_id>/voice-applications", views.VoiceApplicationList.as_view()),
    path("v2/accounts/<str:account_id>/voice-applications/<uuid:application_id>", views.VoiceApplicationDetail.as_view()),
    path(
        "api/v2/accounts/<str:account_id>/calls/<str:call_id>/recordings/<str:recording_id>/media",
        views.RecordingMedia.as_view(),
    ),
]
