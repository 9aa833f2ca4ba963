"""The database tables, one module for each subject."""

from voiceapps.models.accounts import Account, ApiClient, ClientSecret, IdempotentAnswer
from voiceapps.models.applications import SipCredential, VoiceApplication
from voiceapps.models.audit import AuditChain, AuditEntry
from voiceapps.models.bans import Ban, TrustedRange
from voiceapps.models.call_lists import CallExport, SavedFilter
from voiceapps.models.calls import Call, CallEvent, MediaLeg, OpenCall
from voiceapps.models.figures import CallMinute, RefusalMinute, TouchedMinute, WebhookMinute
from voiceapps.models.keys import KeyCheck
from voiceapps.models.live_transcripts import LiveTranscript
from voiceapps.models.nodes import Node
from voiceapps.models.orders import CallOrder
from voiceapps.models.people import FailedLogin, Operator, SecondFactor
from voiceapps.models.recordings import Recording
from voiceapps.models.records import RecordMark
from voiceapps.models.refusals import RefusedAttempt
from voiceapps.models.tasks import TaskLease
from voiceapps.models.transcriptions import Transcription
from voiceapps.models.trials import CallSimulation, PlacedCall
from voiceapps.models.verdicts import CallVerdict
from voiceapps.models.webhooks import FailingHost, WebhookAttempt, WebhookDelivery

__all__ = [
    "Account",
    "ApiClient",
    "AuditChain",
    "AuditEntry",
    "Ban",
    "Call",
    "CallEvent",
    "CallExport",
    "CallMinute",
    "CallOrder",
    "CallSimulation",
    "CallVerdict",
    "ClientSecret",
    "FailedLogin",
    "FailingHost",
    "IdempotentAnswer",
    "KeyCheck",
    "LiveTranscript",
    "MediaLeg",
    "Node",
    "OpenCall",
    "Operator",
    "PlacedCall",
    "RecordMark",
    "Recording",
    "RefusalMinute",
    "RefusedAttempt",
    "SavedFilter",
    "SecondFactor",
    "SipCredential",
    "TaskLease",
    "TouchedMinute",
    "Transcription",
    "TrustedRange",
    "VoiceApplication",
    "WebhookAttempt",
    "WebhookDelivery",
    "WebhookMinute",
]
