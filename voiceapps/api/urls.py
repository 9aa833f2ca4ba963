"""The API's paths, without trailing slashes (D16)."""

from django.urls import path

from voiceapps.api.access import discovery, endpoints
from voiceapps.api.callcontrol import calls, recordings
from voiceapps.api.health import healthz
from voiceapps.api.resources import (
    admission_checks,
    audit_entries,
    credentials,
    refused_attempts,
    sip_status,
    voice_applications,
    webhook_deliveries,
    webhook_tests,
)

APPLICATIONS = "v2/accounts/<str:account_id>/voice-applications"
DELIVERIES = "v2/accounts/<str:account_id>/webhook-deliveries"
CALLS = "api/v2/accounts/<str:account_id>/calls"
CALL = f"{CALLS}/<slug:call_id>"

urlpatterns = [
    path("healthz", healthz),
    path(discovery.TOKEN, endpoints.Token.as_view()),
    path(discovery.REVOKE, endpoints.Revocation.as_view()),
    path(discovery.INTROSPECT, endpoints.TokenIntrospection.as_view()),
    path(discovery.JWKS, discovery.Jwks.as_view()),
    path(discovery.METADATA, discovery.Metadata.as_view()),
    path(credentials.PATH, credentials.CredentialList.as_view()),
    path(f"{credentials.PATH}/<str:client_id>", credentials.CredentialDetail.as_view()),
    path(f"{credentials.PATH}/<str:client_id>/secrets", credentials.SecretList.as_view()),
    path(f"{credentials.PATH}/<str:client_id>/secrets/<uuid:secret_id>", credentials.SecretDetail.as_view()),
    path(APPLICATIONS, voice_applications.VoiceApplicationList.as_view()),
    path(f"{APPLICATIONS}/<uuid:application_id>", voice_applications.VoiceApplicationDetail.as_view()),
    path(f"{APPLICATIONS}/<uuid:application_id>/admission-checks", admission_checks.AdmissionCheckList.as_view()),
    path(f"{APPLICATIONS}/<uuid:application_id>/refused-attempts", refused_attempts.RefusedAttemptList.as_view()),
    path(f"{APPLICATIONS}/<uuid:application_id>/sip-status", sip_status.SipStatus.as_view()),
    path("v2/accounts/<str:account_id>/audit-entries", audit_entries.AuditEntryList.as_view()),
    path(f"{APPLICATIONS}/<uuid:application_id>/webhook-tests", webhook_tests.WebhookTestList.as_view()),
    path(DELIVERIES, webhook_deliveries.WebhookDeliveryList.as_view()),
    path(f"{DELIVERIES}/<uuid:delivery_id>", webhook_deliveries.WebhookDeliveryDetail.as_view()),
    path(f"{DELIVERIES}/<uuid:delivery_id>/replays", webhook_deliveries.WebhookReplayList.as_view()),
    path(CALLS, calls.CallList.as_view()),
    path(CALL, calls.CallDetail.as_view()),
    path(f"{CALL}/recordings", recordings.CallRecordingList.as_view()),
    path(f"{CALL}/recordings/<slug:recording_id>", recordings.RecordingDetail.as_view()),
    path(f"{CALL}/recordings/<slug:recording_id>/media", recordings.RecordingMedia.as_view()),
    path("api/v2/accounts/<str:account_id>/recordings", recordings.AccountRecordingList.as_view()),
]
