"""BXML documents as verbs; pure."""

from callflow.bxml.errors import BxmlError
from callflow.bxml.parser import Document, parse_document
from callflow.bxml.registry import Verb
from callflow.bxml.webhook import Webhook

__all__ = ["BxmlError", "Document", "Verb", "Webhook", "parse_document"]
