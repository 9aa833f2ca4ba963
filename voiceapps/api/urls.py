"""The API's paths, without trailing slashes."""

from django.urls import include, path

from voiceapps.api import converters
from voiceapps.api.access import discovery, endpoints
from voiceapps.api.callcontrol import calls, live_transcripts, orders, recordings, statistics, transcriptions
from voiceapps.api.health import healthz
from voiceapps.api.resources import (
    admission_checks,
    audit_entries,
    call_simulations,
    credentials,
    refused_attempts,
    sip_status,
    voice_applications,
    webhook_deliveries,
    webhook_tests,
)
from voiceapps.api.router import Router

converters.register()

ACCOUNT = "v2/accounts/<str:account_id>"
APPLICATIONS = f"{ACCOUNT}/voice-applications"
APPLICATION = f"{APPLICATIONS}/<id:application_id>"
CALL_CONTROL = "api/v2/accounts/<str:account_id>"
CALLS = f"{CALL_CONTROL}/calls"

router = Router()
router.register(credentials.PATH, credentials.CredentialViewSet)
router.register(f"{credentials.PATH}/<str:client_id>/secrets", credentials.SecretViewSet)
router.register(APPLICATIONS, voice_applications.VoiceApplicationViewSet)
router.register(APPLICATIONS, sip_status.SipStatusViewSet)
router.register(f"{APPLICATION}/admission-checks", admission_checks.AdmissionCheckViewSet)
router.register(f"{APPLICATION}/call-simulations", call_simulations.CallSimulationViewSet)
router.register(f"{APPLICATION}/refused-attempts", refused_attempts.RefusedAttemptViewSet)
router.register(f"{APPLICATION}/webhook-tests", webhook_tests.WebhookTestViewSet)
router.register(f"{ACCOUNT}/audit-entries", audit_entries.AuditEntryViewSet)
router.register(f"{ACCOUNT}/webhook-deliveries", webhook_deliveries.WebhookDeliveryViewSet)
router.register(CALLS, calls.CallViewSet)
router.register(f"{CALLS}/<name:call_id>/recording", orders.CallRecordingStateViewSet)
router.register(f"{CALLS}/<name:call_id>/recordings", recordings.CallRecordingViewSet)
router.register(f"{CALLS}/<name:call_id>/recordings", transcriptions.TranscriptionViewSet)
router.register(f"{CALLS}/<name:call_id>/transcriptions", live_transcripts.LiveTranscriptViewSet)
router.register(f"{CALL_CONTROL}/recordings", recordings.AccountRecordingViewSet)
router.register(f"{CALL_CONTROL}/statistics", statistics.StatisticsViewSet)

urlpatterns = [
    path("healthz", healthz),
    path(discovery.TOKEN, endpoints.Token.as_view()),
    path(discovery.REVOKE, endpoints.Revocation.as_view()),
    path(discovery.INTROSPECT, endpoints.TokenIntrospection.as_view()),
    path(discovery.JWKS, discovery.Jwks.as_view()),
    path(discovery.METADATA, discovery.Metadata.as_view()),
    path("", include(router.urls)),
]
