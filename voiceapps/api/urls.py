"""The API's paths, without trailing slashes (D16)."""

from django.urls import path
from oauth2_provider.views import TokenView

from voiceapps.api.callcontrol import recordings
from voiceapps.api.health import healthz
from voiceapps.api.resources import audit_entries, voice_applications

APPLICATIONS = "v2/accounts/<str:account_id>/voice-applications"
CALLS = "api/v2/accounts/<str:account_id>/calls"

urlpatterns = [
    path("healthz", healthz),
    path("api/v1/oauth2/token", TokenView.as_view()),
    path(APPLICATIONS, voice_applications.VoiceApplicationList.as_view()),
    path(f"{APPLICATIONS}/<uuid:application_id>", voice_applications.VoiceApplicationDetail.as_view()),
    path("v2/accounts/<str:account_id>/audit-entries", audit_entries.AuditEntryList.as_view()),
    path(f"{CALLS}/<str:call_id>/recordings/<str:recording_id>/media", recordings.RecordingMedia.as_view()),
]
