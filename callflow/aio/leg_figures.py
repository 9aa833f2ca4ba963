"""The figures of encrypted audio, which only its ends can take: nobody between them reads the reports of loss and round trips."""

from __future__ import annotations

import time

from callflow.audio.session import AudioSession
from mediarelay.rtp.quality import mean_opinion_score
from voiceapps.rules.media_figures import MediaFigures
from voiceapps.rules.reports import MediaReport

SCORED_PACKETS = 50
"""A second of audio: less says nothing about how the rest sounds."""


def leg_report(call_id: str, node: str, session: AudioSession) -> MediaReport:
    """Return what we know of the caller's audio at its end."""
    agreement = session.agreement
    figures = MediaFigures(
        side="callflow",
        packets_in=session.packets_received,
        bytes_in=session.octets_received,
        packets_out=session.packets_sent,
        lost=session.lost,
        jitter_ms=session.jitter_ms,
        rtt_ms=session.rtt_ms,
        mos=_score(session),
        ssrc_changes=session.source_changes,
        plane="",
        payload_type=agreement.payload_type,
        advertised="{}:{}".format(*agreement.remote) if agreement.remote else "",
        observed="",
    )
    return MediaReport(call_id, node, time.time(), figures, final=True)


def _score(session: AudioSession) -> float | None:
    lost, received = session.lost, session.packets_received
    if received < SCORED_PACKETS:
        return None
    return mean_opinion_score(100 * lost / (lost + received), session.jitter_ms, session.rtt_ms or 0.0)
