"""Transcriptions in their table: ordered, claimed in turns, ended once, and told."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from bandwidth.models import TranscriptionAvailableCallback
from cryptography.fernet import Fernet
from django.conf import settings
from django.db import transaction
from django.test import override_settings
from django.utils import timezone
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from pytest_django import DjangoAssertNumQueries

from tests.unit.voiceapps.builders import ACTOR, STARTED, application, facts
from voiceapps import tasks
from voiceapps.choices import TranscriptionStatus
from voiceapps.models import AuditEntry, Recording, Transcription, WebhookDelivery
from voiceapps.rules.reports import CallFacts, RecordingBegun, RecordingStored, TranscriptionWanted
from voiceapps.rules.transcripts import TOO_LONG_MS as LONG
from voiceapps.rules.transcripts import TOO_SHORT_MS as SHORT
from voiceapps.rules.transcripts import Clip, Transcript
from voiceapps.services import recordings
from voiceapps.services.recordings import UnfinishedError
from voiceapps.services.reports import write_reports
from voiceapps.services.transcriptions import claims, orders
from voiceapps.services.transcriptions.claims import MAX_RUNNING, MAX_TRIES, Planned
from voiceapps.services.transcriptions.orders import Callback, NoAudioError, StillOpenError

pytestmark = pytest.mark.django_db
URL = "https://user:url-secret@a.example/written?key=query-secret"
SAID = Transcript((Clip(0, "call me back", 0.75, 0.5, 1.5),))
ERROR, TIMEOUT = TranscriptionStatus.ERROR, TranscriptionStatus.TIMEOUT


def recorded(account_id: str = "9900000", number: int = 1, *, seconds: float = 3.0, wanted: str | None = None) -> str:
    """Store a recording of a call, and have it written down by its document if a URL is given."""
    call = facts(application(account_id), number + int(account_id) % 10 * 100)
    recording_id = f"r-{account_id}-{number}"
    length_ms = round(seconds * 1000)
    path = Path(settings.RECORDINGS_DIR) / f"{recording_id}.wav"
    stored = RecordingStored(call, recording_id, str(path), STARTED + 1, STARTED + 1 + seconds, length_ms, 1, "wav")
    write_reports([stored] if wanted is None else [want(call, recording_id, wanted, number), stored])
    return recording_id


def want(call: CallFacts, recording_id: str, url: str = URL, number: int = 1) -> TranscriptionWanted:
    return TranscriptionWanted(call, recording_id, f"t-{recording_id}", STARTED + 5 + number, url, "GET", "user", "pw", "x")


def order(recording_id: str) -> None:
    orders.order(recording_id, Callback("https://a.example/written"), actor=ACTOR)


def claimed() -> Planned:
    planned = claims.claim()
    assert planned is not None
    return planned


def row(recording_id: str = "") -> Transcription:
    rows = Transcription.objects.all()
    return rows.get(recording=recording_id) if recording_id else rows.get()


def told() -> list[Any]:
    return [delivery.body for delivery in WebhookDelivery.objects.filter(event_type="transcriptionAvailable").order_by("created_at")]


def statuses() -> list[str]:
    return [body["transcription"]["status"] for body in told()]


def lose_worker() -> None:
    Transcription.objects.filter(status="processing").update(lost_at=timezone.now() - timedelta(seconds=1))
    claims.sweep()


class TestOrders:
    def test_what_a_document_wants_waits_with_all_that_its_webhook_needs(self) -> None:
        recording_id = recorded(wanted=URL)
        stored = row(recording_id)
        assert (stored.status, stored.account_id, stored.tag, stored.tries) == ("none", "9900000", "x", 0)
        assert (stored.callback_url, stored.callback_target) == ("https://***@a.example/written?key=***", URL)
        assert (stored.callback_method, stored.callback_username, stored.callback_password) == ("GET", "user", "pw")

    def test_a_recording_that_is_deleted_by_now_is_left_out(self) -> None:
        call = facts(application())
        write_reports([want(call, "r-gone")])
        recording_id = recorded()
        recordings.delete_media(Recording.objects.get(), actor=ACTOR)
        write_reports([want(call, recording_id)])
        assert not Transcription.objects.exists()

    @pytest.mark.parametrize(
        ("length_ms", "status"),
        [(0, "file-size-too-small"), (SHORT, "file-size-too-small"), (SHORT + 1, "none"), (LONG - 1, "none"), (LONG, "file-size-too-big")],
    )
    def test_one_that_is_too_short_or_too_long_ends_at_once(self, length_ms: int, status: str) -> None:
        recorded(seconds=length_ms / 1000, wanted="http://a.example/")
        stored = row()
        assert (stored.status, stored.ended_at is None) == (status, status == "none")
        assert statuses() == ([] if status == "none" else [status])
        assert (claims.claim() is None) == (status != "none")

    def test_a_new_order_takes_the_place_of_one_that_has_ended(self) -> None:
        recording_id = recorded(wanted="")
        claims.store(claimed(), SAID)
        before = row()
        order(recording_id)
        after = row()
        assert after.pk != before.pk
        assert (len(after.pk), after.status, after.clips, after.tag) == (38, "none", "", "")
        assert AuditEntry.objects.get(action="recording.transcribe").subject == recording_id

    def test_one_that_is_being_made_is_not_ordered_again(self) -> None:
        recording_id = recorded(wanted="")
        with pytest.raises(StillOpenError):
            order(recording_id)
        claimed()
        with pytest.raises(StillOpenError):
            order(recording_id)
        assert not AuditEntry.objects.filter(action="recording.transcribe").exists()

    def test_one_that_goes_on_or_has_no_audio_is_not_written_down(self) -> None:
        call = facts(application())
        write_reports([RecordingBegun(call, "r-1", "r.wav", STARTED, 1, "wav", "")])
        with pytest.raises(UnfinishedError):
            order("r-1")
        for status in ("error", "deleted"):
            Recording.objects.update(status=status)
            with pytest.raises(NoAudioError):
                order("r-1")
        with pytest.raises(Recording.DoesNotExist):
            order("r-2")

    def test_what_a_lost_node_left_may_be_written_down(self) -> None:
        recording_id = recorded()
        Recording.objects.update(status="partial")
        order(recording_id)
        assert row().status == "none"


class TestEnds:
    def test_what_was_understood_is_stored_and_told(self) -> None:
        recording_id = recorded(wanted=URL)
        planned = claimed()
        assert (planned.path, planned.seconds) == (Path(settings.RECORDINGS_DIR) / f"{recording_id}.wav", 66.0)
        assert row().status == "processing"
        claims.store(planned, SAID)
        stored = row()
        assert (stored.status, Transcript.parse(stored.clips)) == ("available", SAID)
        assert stored.ended_at is not None
        (body,) = told()
        assert body["transcription"]["id"] == planned.transcription_id == stored.pk
        assert body["transcription"]["url"].endswith(f"/recordings/{recording_id}/transcription")
        model = TranscriptionAvailableCallback.from_dict(body)
        assert model is not None
        assert model.additional_properties == {}
        assert (model.recording_id, model.tag, model.duration, model.call_id) == (recording_id, "x", "PT3S", facts(application()).call_id)

    def test_its_webhook_goes_where_the_document_said(self) -> None:
        recorded(wanted=URL)
        claims.store(claimed(), SAID)
        delivery = WebhookDelivery.objects.get()
        assert (delivery.url, delivery.target, delivery.host) == ("https://***@a.example/written?key=***", URL, "a.example:443")
        assert (delivery.method, delivery.username, delivery.password) == ("GET", "user", "pw")

    @pytest.mark.parametrize("status", [ERROR, TIMEOUT])
    def test_that_nothing_was_understood_is_told_too(self, status: TranscriptionStatus) -> None:
        recorded(wanted=URL)
        claims.store(claimed(), status)
        assert (row().status, row().clips, statuses()) == (status.value, "", [status.value])

    def test_without_a_url_nobody_is_told(self) -> None:
        recorded(wanted="")
        claims.store(claimed(), SAID)
        assert row().status == "available"
        assert not WebhookDelivery.objects.exists()

    def test_only_the_first_end_counts_and_only_of_what_was_claimed(self) -> None:
        recorded(wanted=URL)
        planned = claimed()
        claims.give_back([planned])
        claims.store(planned, SAID)
        assert row().status == "none"
        again = claimed()
        claims.store(planned, SAID)
        assert row().status == "processing"
        claims.store(again, ERROR)
        claims.store(again, SAID)
        assert (row().status, statuses()) == ("error", ["error"])

    def test_silence_is_a_transcript_without_clips(self) -> None:
        recorded(wanted=URL)
        claims.store(claimed(), Transcript(()))
        assert (row().status, row().clips) == ("available", "[]")

    def test_a_file_that_lies_elsewhere_is_an_error_and_stops_no_other(self) -> None:
        recorded(wanted=URL)
        Recording.objects.update(path="/etc/passwd")
        other = recorded(number=2, wanted="")
        assert claimed().transcription_id == row(other).pk
        assert statuses() == ["error"]

    def test_a_webhook_that_no_key_opens_fails_alone(self) -> None:
        with override_settings(SIPURI_FIELD_KEYS=(Fernet.generate_key().decode(),)):
            recording_id = recorded(wanted=URL)
        claims.store(claimed(), SAID)
        stored = Transcription.objects.defer(*Transcription.SECRETS).get(recording=recording_id)
        assert stored.status == "available"
        assert WebhookDelivery.without_secrets().get().event_type == "transcriptionAvailable"


class TestTurns:
    def test_two_of_an_account_run_at_most(self) -> None:
        for number in range(MAX_RUNNING + 1):
            recorded(number=number, wanted="")
        running = [claimed() for _ in range(MAX_RUNNING)]
        assert claims.claim() is None
        other = recorded("9900001", wanted="")
        assert claimed().transcription_id == row(other).pk
        claims.store(running[0], SAID)
        assert claims.claim() is not None

    def test_accounts_take_turns_and_each_has_its_oldest_first(self) -> None:
        many = [recorded(number=number, wanted="") for number in range(4)]
        few = [recorded("9900001", wanted="")]
        served = []
        while (planned := claims.claim()) is not None:
            served.append(Transcription.objects.get(pk=planned.transcription_id).recording_id)
            claims.store(planned, SAID)
        assert sorted(served) == sorted(many + few)
        assert served.index(few[0]) <= 1
        assert [recording_id for recording_id in served if recording_id in many] == many

    def test_many_that_had_their_turns_long_ago_come_as_if_they_never_had(self) -> None:
        recorded(wanted="")
        claims.store(claimed(), SAID)
        Transcription.objects.update(began_at=timezone.now() - timedelta(hours=2))
        recorded(number=2, wanted="")
        assert claims.claim() is not None


class TestLostWorkers:
    def test_one_whose_worker_died_is_given_back_once(self) -> None:
        recorded(wanted=URL)
        first = claimed()
        tasks.sweep_transcriptions()
        assert row().status == "processing"
        lose_worker()
        assert (row().status, row().began_at, row().tries) == ("none", None, 1)
        second = claimed()
        assert (second.transcription_id, row().tries) == (first.transcription_id, MAX_TRIES)
        assert claims.still_mine([first, second]) == {second}
        claims.give_back([first])
        claims.store(first, SAID)
        assert (row().status, row().tries) == ("processing", MAX_TRIES), "who comes too late disturbs nobody"
        lose_worker()
        assert (row().status, statuses()) == ("error", ["error"])
        claims.store(first, SAID)
        assert (row().status, statuses()) == ("error", ["error"])

    def test_the_worker_has_the_deadline_and_a_while_to_store_it(self) -> None:
        recorded(seconds=100, wanted="")
        planned = claimed()
        lost_at, began_at = row().lost_at, row().began_at
        assert lost_at is not None
        assert began_at is not None
        assert (planned.seconds, (lost_at - began_at).total_seconds()) == (260.0, 320.0)

    def test_what_a_worker_gives_back_has_cost_no_try(self) -> None:
        recorded(wanted="")
        for _ in range(MAX_TRIES + 1):
            claims.give_back([claimed()])
        assert (row().status, row().tries) == ("none", 0)

    def test_what_has_ended_is_not_given_back(self) -> None:
        recorded(wanted="")
        planned = claimed()
        claims.store(planned, SAID)
        claims.give_back([planned])
        assert (row().status, row().tries) == ("available", 1)


class TestDeletion:
    def test_a_claim_stands_until_its_row_is_gone(self) -> None:
        for number in range(MAX_RUNNING):
            recorded(number=number, wanted=URL)
        first, second = claimed(), claimed()
        assert claims.still_mine([first, second]) == {first, second}
        assert orders.delete(Recording.objects.get(transcription=first.transcription_id), actor=ACTOR)
        assert claims.still_mine([first, second]) == {second}
        recordings.delete(Recording.objects.get(transcription=second.transcription_id), actor=ACTOR)
        assert claims.still_mine([first, second]) == set()

    def test_what_is_ordered_anew_is_no_claim_of_the_worker_before(self) -> None:
        recording_id = recorded(wanted=URL)
        before = claimed()
        orders.delete(Recording.objects.get(), actor=ACTOR)
        order(recording_id)
        assert claims.still_mine([before]) == set()
        after = claimed()
        assert claims.still_mine([before, after]) == {after}

    def test_one_query_asks_for_all_claims(self, django_assert_num_queries: DjangoAssertNumQueries) -> None:
        for number in range(MAX_RUNNING):
            recorded(number=number, wanted=URL)
        both = [claimed(), claimed()]
        with django_assert_num_queries(1):
            claims.still_mine(both)

    def test_a_deleted_recording_takes_its_transcription_along(self) -> None:
        recorded(wanted=URL)
        planned = claimed()
        recordings.delete(Recording.objects.get(), actor=ACTOR)
        claims.store(planned, SAID)
        assert not Transcription.objects.exists()
        assert told() == []

    def test_deleted_audio_stops_what_is_not_written_down_yet(self) -> None:
        recorded(wanted=URL)
        planned = claimed()
        recordings.delete_media(Recording.objects.get(), actor=ACTOR)
        claims.store(planned, SAID)
        assert not Transcription.objects.exists()
        assert told() == []

    def test_what_is_written_down_outlives_the_audio(self) -> None:
        recorded(wanted=URL)
        claims.store(claimed(), SAID)
        recordings.delete_media(Recording.objects.get(), actor=ACTOR)
        assert row().status == "available"

    def test_it_goes_alone_and_the_trail_says_so(self) -> None:
        recording_id = recorded(wanted=URL)
        recording = Recording.objects.get()
        assert orders.delete(recording, actor=ACTOR)
        assert not orders.delete(recording, actor=ACTOR)
        assert AuditEntry.objects.get(action="recording.delete_transcription").subject == recording_id
        assert claims.claim() is None
        order(recording_id)


STEPS = ("order", "claim", "understood", "error", "give back", "lose", "delete")


def take(step: str, recording_id: str, known: list[Planned]) -> None:
    """Do one thing; what is not possible now is refused or changes nothing."""
    newest = known[-1] if known else Planned("t-nobody", timezone.now(), Path(), 1.0)
    match step:
        case "order":
            try:
                order(recording_id)
            except StillOpenError:
                return
        case "claim":
            if (planned := claims.claim()) is not None:
                known.append(planned)
        case "understood" | "error":
            claims.store(newest, SAID if step == "understood" else ERROR)
        case "give back":
            claims.give_back([newest])
        case "lose":
            lose_worker()
        case "delete":
            orders.delete(Recording.objects.get(), actor=ACTOR)


def check(stored: Transcription) -> None:
    assert (stored.ended_at is None) == (stored.status in Transcription.OPEN)
    assert (stored.lost_at is not None) == (stored.status == "processing")
    assert bool(stored.clips) == (stored.status == "available")
    assert stored.tries <= MAX_TRIES


@hypothesis_settings(max_examples=40)
@given(st.lists(st.sampled_from(STEPS), max_size=14))
def test_in_any_order_of_events_each_transcription_ends_and_is_told_once(steps: list[str]) -> None:
    with transaction.atomic():
        recording_id = recorded()
        known: list[Planned] = []
        for step in steps:
            take(step, recording_id, known)
            for stored in Transcription.objects.all():
                check(stored)
        for _ in range(MAX_TRIES + 1):
            lose_worker()
            claims.claim()
        numbers = [body["transcription"]["id"] for body in told()]
        assert len(numbers) == len(set(numbers))
        assert set(Transcription.objects.values_list("pk", flat=True)) <= set(numbers)
        transaction.set_rollback(True)
