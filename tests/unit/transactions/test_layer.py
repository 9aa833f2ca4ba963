from __future__ import annotations

import random

import pytest

from daemonkit.address import Address
from sipproxy.sip import Request, Response, parse_message
from sipproxy.transactions.events import (
    AckReceived,
    Cancelled,
    Key,
    NewRequest,
    RequestTimedOut,
    ResponseReceived,
    StraySuccess,
    TransactionEnded,
    TransactionEvent,
)
from sipproxy.transactions.layer import TransactionLayer
from sipproxy.transactions.tables import T1, T2, TIMEOUT
from tests.support.sip import Network, make_layer, make_request
from tests.unit.sip.wire import sample

CLIENT: Address = ("192.0.2.10", 5080)
SERVER: Address = ("203.0.113.5", 6160)


def events(layer: TransactionLayer) -> list[TransactionEvent]:
    found = []
    while (event := layer.next_event()) is not None:
        found.append(event)
    return found


def sent(layer: TransactionLayer) -> list[Request | Response]:
    return [parse_message(data) for data, _ in layer.datagrams_to_send()]


def kinds(layer: TransactionLayer) -> list[type[TransactionEvent]]:
    return [type(event) for event in events(layer)]


def arrive(layer: TransactionLayer, method: str = "INVITE", *, branch: str = "z9hG4bKa", now: float = 0.0) -> tuple[Key, Request]:
    layer.receive_message(make_request(method, branch=branch), CLIENT, now)
    event = layer.next_event()
    assert isinstance(event, NewRequest)
    return event.key, event.request


def call_out(layer: TransactionLayer, method: str = "INVITE") -> tuple[Key, Request]:
    request = make_request(method, branch=layer.new_branch())
    key = layer.send_request(request, SERVER, 0.0)
    layer.datagrams_to_send()
    return key, request


def run_until(layer: TransactionLayer, now: float) -> list[tuple[float, bytes]]:
    found = []
    while (when := layer.get_timer()) is not None and when <= now:
        layer.handle_timer(when)
        found += [(when, data) for data, _ in layer.datagrams_to_send()]
    return found


def test_a_retransmitted_request_is_new_once_and_answered_again() -> None:
    layer = make_layer("s")
    key, request = arrive(layer)
    layer.respond(key, request.make_response(180, to_tag="t"), 0.1)
    first = layer.datagrams_to_send()
    layer.receive_message(make_request(branch="z9hG4bKa"), CLIENT, 0.2)
    assert layer.datagrams_to_send() == first
    assert first[0][1] == CLIENT
    assert events(layer) == []
    assert layer.counters.retransmissions == 1


def test_a_failure_is_retransmitted_until_its_ack() -> None:
    layer = make_layer("s")
    key, request = arrive(layer)
    layer.respond(key, request.make_response(486, to_tag="t"), 0.0)
    layer.datagrams_to_send()
    assert [when for when, _ in run_until(layer, 8.0)] == [T1, 3 * T1, 7 * T1, 7 * T1 + T2]
    layer.receive_message(make_request("ACK", branch="z9hG4bKa"), CLIENT, 8.1)
    assert run_until(layer, 100.0) == []
    assert kinds(layer) == [TransactionEnded]


def test_a_failure_that_nobody_acknowledges_ends() -> None:
    layer = make_layer("s")
    key, request = arrive(layer)
    layer.respond(key, request.make_response(486, to_tag="t"), 0.0)
    run_until(layer, TIMEOUT)
    assert events(layer) == [TransactionEnded(key)]
    assert len(layer) == 0


def test_a_2xx_is_retransmitted_by_the_user() -> None:
    layer = make_layer("s")
    key, request = arrive(layer)
    ok = request.make_response(200, to_tag="t")
    layer.respond(key, ok, 0.0)
    layer.respond(key, ok, 0.5)
    assert len(layer.datagrams_to_send()) == 2
    layer.receive_message(make_request(branch="z9hG4bKa"), CLIENT, 0.6)
    assert layer.datagrams_to_send() == []
    layer.respond(key, request.make_response(486), 0.7)
    assert layer.datagrams_to_send() == []
    layer.receive_message(make_request("ACK", branch="z9hG4bKb"), CLIENT, 0.7)
    layer.receive_message(make_request("ACK", branch="z9hG4bKa"), CLIENT, 0.8)
    assert kinds(layer) == [AckReceived, AckReceived]
    run_until(layer, TIMEOUT)
    assert kinds(layer) == [TransactionEnded]


def test_non_invite_requests() -> None:
    layer = make_layer("s")
    key, request = arrive(layer, "BYE")
    layer.receive_message(make_request("BYE", branch="z9hG4bKa"), CLIENT, 0.1)
    assert layer.datagrams_to_send() == []
    layer.respond(key, request.make_response(100), 0.2)
    layer.respond(key, request.make_response(200), 0.2)
    layer.receive_message(make_request("BYE", branch="z9hG4bKa"), CLIENT, 0.3)
    assert [getattr(message, "status", None) for message in sent(layer)] == [100, 200, 200]
    assert run_until(layer, 100) == []
    assert len(layer) == 0


def test_an_invite_is_retransmitted_until_a_response() -> None:
    layer = make_layer("c")
    key, request = call_out(layer)
    assert [when for when, _ in run_until(layer, 4.0)] == [T1, 3 * T1, 7 * T1]
    layer.receive_message(request.make_response(100), SERVER, 4.1)
    assert run_until(layer, 1000.0) == []
    layer.receive_message(request.make_response(200, to_tag="t"), SERVER, 1000.0)
    layer.receive_message(request.make_response(200, to_tag="u"), SERVER, 1001.0)
    assert kinds(layer) == [ResponseReceived, ResponseReceived, ResponseReceived]
    run_until(layer, 1000 + TIMEOUT)
    assert events(layer) == [TransactionEnded(key)]


def test_a_request_that_nobody_answers_times_out() -> None:
    layer = make_layer("c")
    for method in ("INVITE", "BYE"):
        key, request = call_out(layer, method)
        run_until(layer, TIMEOUT)
        assert events(layer) == [RequestTimedOut(key, request), TransactionEnded(key)]


def test_the_interval_of_a_non_invite_request_grows_up_to_t2() -> None:
    layer = make_layer("c")
    key, request = call_out(layer, "OPTIONS")
    assert [when for when, _ in run_until(layer, 8.0)] == [T1, 3 * T1, 7 * T1, 7 * T1 + T2]
    layer.receive_message(request.make_response(100), SERVER, 8.0)
    assert [when for when, _ in run_until(layer, 16.0)] == [11.5, 15.5]
    layer.receive_message(request.make_response(200), SERVER, 16.0)
    layer.receive_message(request.make_response(200), SERVER, 16.1)
    run_until(layer, 30.0)
    assert kinds(layer) == [ResponseReceived, ResponseReceived, TransactionEnded]
    assert key not in layer._transactions


def test_a_failure_is_acknowledged_each_time_and_reported_once() -> None:
    layer = make_layer("c")
    request = make_request(branch=layer.new_branch(), extra=[("Route", "<sip:p;lr>"), ("Route", "<sip:q;lr>")])
    layer.send_request(request, SERVER, 0.0)
    layer.datagrams_to_send()
    for _ in range(2):
        layer.receive_message(request.make_response(486, to_tag="t"), SERVER, 1.0)
    acks = sent(layer)
    assert len(acks) == 2
    ack = acks[0]
    assert isinstance(ack, Request)
    assert (ack.method, ack.to.tag, str(ack.cseq), ack.top_via) == ("ACK", "t", "1 ACK", request.top_via)
    assert ack.headers("Route") == ["<sip:p;lr>", "<sip:q;lr>"]
    assert kinds(layer) == [ResponseReceived]


def test_cancel_waits_for_a_provisional_response() -> None:
    layer = make_layer("c")
    key, request = call_out(layer)
    layer.cancel(key, 0.1)
    layer.cancel(key, 0.1)
    assert layer.datagrams_to_send() == []
    layer.receive_message(request.make_response(180, to_tag="t"), SERVER, 0.2)
    layer.receive_message(request.make_response(183, to_tag="t"), SERVER, 0.2)
    cancels = sent(layer)
    assert [str(message.cseq) for message in cancels] == ["1 CANCEL"]
    assert cancels[0].top_via == request.top_via
    layer.receive_message(request.make_response(487, to_tag="t"), SERVER, 0.3)
    assert kinds(layer) == [ResponseReceived] * 3


def test_a_cancelled_invite_without_an_answer_ends() -> None:
    layer = make_layer("c")
    key, request = call_out(layer)
    layer.receive_message(request.make_response(180, to_tag="t"), SERVER, 0.2)
    layer.cancel(key, 100.0)
    run_until(layer, 100.0 + TIMEOUT)
    assert events(layer)[1:] == [RequestTimedOut(key, request), TransactionEnded(key)]
    assert len(layer) == 0


def test_cancel_of_anything_else_does_nothing() -> None:
    layer = make_layer("c")
    key, _ = call_out(layer, "BYE")
    layer.cancel(key, 0.1)
    layer.cancel(("client", "unknown", "INVITE"), 0.1)
    assert layer.datagrams_to_send() == []


def test_a_cancel_finds_its_invite() -> None:
    layer = make_layer("s")
    key, request = arrive(layer)
    for _ in range(2):
        layer.receive_message(make_request("CANCEL", branch="z9hG4bKa"), CLIENT, 0.1)
    assert [(message.cseq.method, getattr(message, "status", 0)) for message in sent(layer)] == [("CANCEL", 200)] * 2
    assert events(layer) == [Cancelled(key)]
    layer.respond(key, request.make_response(487, to_tag="t"), 0.2)
    run_until(layer, 100)
    assert len(layer) == 0


def test_a_cancel_after_the_final_response_changes_nothing() -> None:
    layer = make_layer("s")
    key, request = arrive(layer)
    layer.respond(key, request.make_response(200, to_tag="t"), 0.0)
    layer.receive_message(make_request("CANCEL", branch="z9hG4bKa"), CLIENT, 0.1)
    assert events(layer) == []
    assert [getattr(message, "status", 0) for message in sent(layer)] == [200, 200]


@pytest.mark.parametrize(("branch", "source"), [("z9hG4bKother", CLIENT), ("z9hG4bKa", ("198.51.100.9", 5080))])
def test_a_cancel_that_matches_nothing_is_481(branch: str, source: Address) -> None:
    layer = make_layer("s")
    arrive(layer)
    layer.receive_message(make_request("CANCEL", branch=branch), source, 0.1)
    assert [getattr(message, "status", 0) for message in sent(layer)] == [481]
    assert events(layer) == []


def test_rfc2543_clients_are_matched_without_a_branch() -> None:
    layer = make_layer("s")
    data = bytes(make_request(branch="old"))
    for _ in range(2):
        layer.receive_datagram(data, CLIENT, 0.0)
    assert kinds(layer) == [NewRequest]
    layer.receive_message(make_request(branch="old", number=2), CLIENT, 0.1)
    assert kinds(layer) == [NewRequest]


def test_only_a_2xx_to_an_invite_is_reported_without_a_transaction() -> None:
    layer = make_layer("c")
    layer.receive_datagram(sample("ok.sip"), SERVER, 0.0)
    layer.receive_datagram(sample("ok.sip").replace(b"200 OK", b"180 Ringing"), SERVER, 0.0)
    assert (kinds(layer), layer.datagrams_to_send(), layer.counters.stray) == ([StraySuccess], [], 2)


def test_finished_requests_leave_nothing() -> None:
    layer = make_layer("s")
    key, request = arrive(layer)
    layer.finish(key, request.make_response(401, to_tag="t"))
    layer.finish(key, request.make_response(401, to_tag="t"))
    layer.respond(key, request.make_response(401, to_tag="t"), 0.0)
    assert (len(layer), layer.get_timer(), len(layer.datagrams_to_send())) == (0, None, 1)


@pytest.mark.parametrize("name", ["invite_broken.sip", "options_folded_broken.sip"])
def test_malformed_requests_are_answered_with_400(name: str) -> None:
    layer = make_layer("s")
    layer.receive_datagram(sample(name), CLIENT, 0.0)
    ((data, _),) = layer.datagrams_to_send()
    assert data.startswith(b"SIP/2.0 400 ")
    assert (len(layer), layer.counters.malformed) == (0, 1)


@pytest.mark.parametrize("data", [b"", b"\r\n\r\n", b"\0" * 4, b"noise", sample("ok_broken.sip"), b"\xff" * 65_535])
def test_noise_gets_no_response(data: bytes) -> None:
    layer = make_layer("s")
    layer.receive_datagram(data, CLIENT, 0.0)
    assert (events(layer), layer.datagrams_to_send()) == ([], [])


def test_a_broken_via_gets_no_response() -> None:
    layer = make_layer("s")
    layer.receive_datagram(bytes(make_request(branch="z9hG4bKa")).replace(b"SIP/2.0/UDP", b"SIP/2.0/UDP :]"), CLIENT, 0.0)
    assert (events(layer), layer.datagrams_to_send()) == ([], [])


def test_a_full_table_refuses_and_recovers() -> None:
    layer = make_layer("s", max_transactions=3)
    keys = [arrive(layer, branch=f"z9hG4bK{number}") for number in range(3)]
    layer.receive_message(make_request(branch="z9hG4bKlast"), CLIENT, 0.0)
    assert [getattr(message, "status", 0) for message in sent(layer)] == [503]
    key = layer.send_request(make_request(branch=layer.new_branch()), SERVER, 0.0)
    assert kinds(layer) == [RequestTimedOut, TransactionEnded]
    assert layer.counters.refused == 2
    layer.finish(keys[0][0], keys[0][1].make_response(401, to_tag="t"))
    events(layer)
    arrive(layer, branch="z9hG4bKlast")
    assert key[0] == "client"


class Party:
    """A minimal user agent: it answers requests and remembers what it saw."""

    def __init__(self, prefix: str, local: Address) -> None:
        self.layer = make_layer(prefix)
        self.local = local
        self.finals: dict[Key, int] = {}
        self.served: list[str] = []
        self.answers = {"INVITE": 486, "BYE": 200, "OPTIONS": 200}

    def receive(self, data: bytes, source: Address, local: Address, now: float) -> None:
        self.layer.receive_datagram(data, source, now)
        self.drain(now)

    def take(self) -> list[tuple[Address, bytes, Address]]:
        return [(self.local, data, target) for data, target in self.layer.datagrams_to_send()]

    def timer(self) -> float | None:
        return self.layer.get_timer()

    def ring(self, now: float) -> None:
        self.layer.handle_timer(now)
        self.drain(now)

    def drain(self, now: float) -> None:
        for event in events(self.layer):
            if isinstance(event, NewRequest):
                self.served.append(event.request.call_id)
                status = self.answers[event.request.method]
                self.layer.respond(event.key, event.request.make_response(status, to_tag="t"), now)
            elif isinstance(event, ResponseReceived) and event.response.is_final:
                assert event.key not in self.finals
                self.finals[event.key] = event.response.status


@pytest.mark.parametrize("seed", range(5))
def test_loss_reordering_and_duplication_are_recovered(seed: int) -> None:
    dice = random.Random(seed)

    def fate() -> list[float]:
        copies = dice.choices([0, 1, 2], [25, 65, 10])[0]
        return [dice.uniform(0.001, 0.4) for _ in range(copies)]

    network = Network(fate)
    client, server = Party("c", CLIENT), Party("s", SERVER)
    network.add(client, CLIENT)
    network.add(server, SERVER)
    keys = {}
    for number in range(100):
        method = dice.choice(["INVITE", "BYE", "OPTIONS"])
        request = make_request(method, branch=client.layer.new_branch(), call_id=f"call-{number}")
        keys[client.layer.send_request(request, SERVER, network.now)] = server.answers[method]
        network.run(network.now + dice.uniform(0, 0.2))
    network.run(network.now + 70)
    assert network.lost > 20
    assert client.finals == keys
    assert len(set(server.served)) == 100
    assert len(client.layer) == len(server.layer) == 0
    assert client.timer() is server.timer() is None


def test_over_a_stream_nothing_is_sent_twice_and_nothing_lingers() -> None:
    layer = make_layer("r", reliable=True)
    invite = make_request(branch="z9hG4bKs1")
    key = layer.begin(invite, ("198.51.100.1", 40_000), 0.0)
    assert key is not None
    layer.respond(key, invite.make_response(486, to_tag="t"), 0.0)
    layer.handle_timer(10.0)
    assert [address for _, address in layer.datagrams_to_send()] == [("198.51.100.1", 40_000)]
    layer.receive_message(make_request("ACK", branch="z9hG4bKs1", to_tag="t"), ("198.51.100.1", 40_000), 10.0)
    layer.handle_timer(10.0)
    assert len(layer) == 0


def test_a_lost_connection_is_a_time_out_for_what_went_along_it() -> None:
    layer = make_layer("r", reliable=True)
    lost = layer.send_request(make_request("OPTIONS", branch="z9hG4bKs2"), ("198.51.100.1", 5060), 0.0)
    kept = layer.send_request(make_request("OPTIONS", branch="z9hG4bKs3"), ("198.51.100.2", 5060), 0.0)
    layer.fail(("198.51.100.1", 5060), 1.0)
    assert [type(event).__name__ for event in events(layer)] == ["RequestTimedOut", "TransactionEnded"]
    assert (len(layer), lost == kept) == (1, False)


def test_a_repetition_tells_how_old_its_request_is_where_that_is_wanted() -> None:
    layer = make_layer("s")
    layer.send_request(make_request("BYE", branch=layer.new_branch()), SERVER, 0.0, age_header="X-Age")
    (first,) = sent(layer)
    repeated = [(now, parse_message(data).headers("x-age")) for now, data in run_until(layer, 8.0)]
    assert first.count("x-age") == 0
    assert repeated == [(0.5, ["0.5"]), (1.5, ["1.5"]), (3.5, ["3.5"]), (7.5, ["7.5"])]


def test_another_repetition_is_the_same_message() -> None:
    layer = make_layer("s")
    layer.send_request(make_request("BYE", branch=layer.new_branch()), SERVER, 0.0)
    ((first, _),) = layer.datagrams_to_send()
    assert {data for _, data in run_until(layer, 8.0)} == {first}
