"""The database tables, one module for each subject."""

from voiceapps.models.accounts import Account, ApiClient, ClientSecret, IdempotentAnswer
from voiceapps.models.applications import SipCredential, VoiceApplication
from voiceapps.models.audit import AuditChain, AuditEntry
from voiceapps.models.bans import Ban
from voiceapps.models.calls import Call, CallEvent, MediaLeg, OpenCall
from voiceapps.models.keys import KeyCheck
from voiceapps.models.live_transcripts import LiveTranscript
from voiceapps.models.nodes import Node
from voiceapps.models.orders import CallOrder
from voiceapps.models.recordings import Recording
from voiceapps.models.records import RecordMark
from voiceapps.models.refusals import RefusedAttempt
from voiceapps.models.simulations import CallSimulation
from voiceapps.models.tasks import TaskLease
from voiceapps.models.transcriptions import Transcription
from voiceapps.models.webhooks import FailingHost, WebhookAttempt, WebhookDelivery

__all__ = [
    "Account",
    "ApiClient",
    "AuditChain",
    "AuditEntry",
    "Ban",
    "Call",
    "CallEvent",
    "CallOrder",
    "CallSimulation",
    "ClientSecret",
    "FailingHost",
    "IdempotentAnswer",
    "KeyCheck",
    "LiveTranscript",
    "MediaLeg",
    "Node",
    "OpenCall",
    "RecordMark",
    "Recording",
    "RefusedAttempt",
    "SipCredential",
    "TaskLease",
    "Transcription",
    "VoiceApplication",
    "WebhookAttempt",
    "WebhookDelivery",
]
