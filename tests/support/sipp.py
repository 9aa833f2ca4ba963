"""Scenarios for sipp, written as what each party says and hears, and the processes that play them.

sipp judges: an unexpected message, a missing one and one that fails a check each end the process with an error. Its exit
code is all the synchronisation that a test needs.
"""

from __future__ import annotations

import json
import re
import secrets
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Self
from xml.sax.saxutils import quoteattr

from tests.support.fleet import ROOT, Application, Fleet, free_ports, until

# The Debian package has no TLS; a phone or Kamailio stands in for it there.
TRANSPORT_OPTIONS = {"udp": "u1", "tcp": "t1"}
SECONDS = 20
OFFER = """v=0
o=caller 1 1 IN IP4 [local_ip]
s=-
c=IN IP4 [media_ip]
t=0 0
m=audio [media_port] RTP/AVP 0 101
a=rtpmap:0 PCMU/8000
a=rtpmap:101 telephone-event/8000"""
ANSWER = """v=0
o=callee 1 1 IN IP4 [local_ip]
s=-
c=IN IP4 [media_ip]
t=0 0
m=audio [media_port] RTP/AVP 0
a=rtpmap:0 PCMU/8000"""
CONTACT = "Contact: <sip:caller@[local_ip]:[local_port];transport=[transport]>"
# sipp finds only one header of a name. These are the consecutive Vias: the next hop's, and its neighbour's.
VIAS = "Via: [^[:cntrl:]]*([[:cntrl:]]+Via: [^[:cntrl:]]*)*"
Row = list[str | int | None]
ROWS = """
import json, sys, django
django.setup()
from voiceapps.models import Call
for line in sys.stdin:
    rows = Call.objects.filter(sip_call_id=line.strip())
    print(json.dumps(list(rows.values_list("state", "end_class", "end_reason", "sip_status"))), flush=True)"""


def changed(description: str, *attributes: str, version: int = 2) -> str:
    """Return a later version of a session description, with attributes of its audio added."""
    return "\n".join((description.replace(" 1 1 IN", f" 1 {version} IN"), *attributes))


@dataclass(frozen=True)
class Check:
    """A pattern (POSIX extended) that a message, or one of its headers, must or must not match; `keep` names what it captures."""

    pattern: str
    header: str = ""
    wanted: bool = True
    keep: str = ""


def has(header: str, pattern: str = ".", *, keep: str = "") -> Check:
    """Check that a header is present and matches."""
    return Check(pattern, header, keep=keep)


def says(pattern: str) -> Check:
    """Check that the message matches somewhere."""
    return Check(pattern)


def never_says(pattern: str) -> Check:
    """Check that the message matches nowhere."""
    return Check(pattern, wanted=False)


# Which of the relay's two port pools a description names.
INSIDE = says("m=audio [45][0-9]{4} ")
OUTSIDE = says("m=audio (3[0-9]{4}|40000) ")


@dataclass
class Party:
    """One side's script; each method adds a step and returns the party."""

    uri: str = ""
    calling: bool = True
    always: tuple[Check, ...] = ()
    cseq: int = 0
    steps: list[str] = field(default_factory=list)
    variables: list[str] = field(default_factory=list)
    sent: dict[str, int] = field(default_factory=dict)
    got: dict[str, int] = field(default_factory=dict)
    asked: str = ""
    heard: str = ""
    early: bool = False
    in_dialog: bool = False

    # What it says.

    def sends(self, method: str, *headers: str, body: str = "", kind: str = "application/sdp", **changes: str) -> Self:
        """Add a request of a new transaction; `to_uri`, `to_tag`, `from_tag`, `routes` and `hops` replace what it would carry."""
        self.cseq += 1
        self.sent[method] = self.cseq
        self.asked = method
        return self._request(method, f"{method}{self.cseq}", headers, body, kind, changes)

    def repeats(self) -> Self:
        """Add the message that was sent last once more."""
        self.steps.append(next(step for step in reversed(self.steps) if step.startswith("<send")))
        return self

    def cancels(self) -> Self:
        """Add the CANCEL of the last INVITE."""
        self.asked = "CANCEL"
        changes = {} if self.in_dialog else {"to_tag": "", "routes": "", "to_uri": self.uri}
        return self._request("CANCEL", f"INVITE{self.sent['INVITE']}", (), "", "", changes)

    def acks(self, *headers: str, body: str = "", kind: str = "application/sdp", failure: bool = False) -> Self:
        """Add the ACK of the last INVITE: end to end for a 2xx, hop by hop for a `failure`."""
        number = self.sent["INVITE"]
        if not failure:
            return self._request("ACK", f"ACK{number}", headers, body, kind, {})
        changes = {} if self.in_dialog else {"routes": "", "to_uri": self.uri}
        return self._request("ACK", f"INVITE{number}", headers, body, kind, changes)

    def answers(self, status: int, *headers: str, to: str = "", body: str = "", tag: str = "u") -> Self:
        """Add a response to the last request, or to the last one of the method `to`; another `tag` is another dialog."""
        method = to or self.heard
        at = self.got[method]
        first = not self.calling and not self.in_dialog and method in {"INVITE", "CANCEL"}
        lines = [f"SIP/2.0 {status} Said so", f"[$via{at}]"]
        if first and method == "INVITE":
            lines.append("[last_Record-Route:]" if self.heard == method else f"Record-Route: [$route{at}]")
        lines += [f"From: [$from{at}]", f"To: [$to{at}]{f';tag=[pid]{tag}[call_number]' if first else ''}", "[last_Call-ID:]"]
        lines.append(f"CSeq: [$cseq{at}]")
        if status < 400 and method in {"INVITE", "UPDATE"}:
            lines.append("Contact: <sip:inside@[local_ip]:[local_port];transport=[transport]>")
        self._send([*lines, *headers], body, "application/sdp", repeated=method == "INVITE" and status >= 200)
        self.in_dialog = self.in_dialog or (method == "INVITE" and 200 <= status < 300)
        return self

    def raw(self, text: str, *, repeated: bool = False) -> Self:
        """Add a message as it is; it is `repeated` until its answer comes."""
        retrans = ' retrans="500"' if repeated else ""
        self.steps.append(f"<send{retrans}><![CDATA[\n{text}\n]]></send>")
        return self

    # What it hears.

    def gets(self, what: int | str, *checks: Check, of: str = "", optional: bool = False) -> Self:
        """Add a message that must come, or may: a request's method, or the status of a response to the last request or to `of`."""
        attributes = {"request": what} if isinstance(what, str) else {"response": str(what)}
        if optional:
            attributes["optional"] = "true"
        answers_invite = not isinstance(what, str) and (of or self.asked) == "INVITE" and 100 < what < 300
        forming = not self.in_dialog and (what == "INVITE" or answers_invite)
        if forming:
            attributes["rrs"] = "true"
            self.early = True
        actions = self._captures(what) if isinstance(what, str) else [*map(self._check, self._via_checks(of or self.asked))]
        actions += map(self._check, (*self.always, *checks))
        named = " ".join(f"{name}={quoteattr(value)}" for name, value in attributes.items())
        self.steps.append(f"<recv {named}><action>{''.join(actions)}</action></recv>" if actions else f"<recv {named}/>")
        self.in_dialog = self.in_dialog or (answers_invite and int(what) >= 200)
        return self

    def waits(self, milliseconds: int) -> Self:
        """Add a pause, in which nothing may come."""
        self.steps.append(f'<pause milliseconds="{milliseconds}"/>')
        return self

    def scenario(self, name: str) -> str:
        """Return the text of the scenario's file."""
        names = f"<Reference variables={quoteattr(','.join(self.variables))}/>" if self.variables else ""
        return "\n".join(('<?xml version="1.0" encoding="UTF-8"?>', f'<scenario name="{name}">', *self.steps, names, "</scenario>", ""))

    # Text.

    def _request(self, method: str, branch: str, headers: Sequence[str], body: str, kind: str, changes: dict[str, str]) -> Self:
        inside = self.early or not self.calling
        target = changes.get("to_uri") or ("[next_url]" if inside else self.uri)
        hops = changes.get("hops", "70")
        peer = "[peer_tag_param]" if inside or method == "ACK" else ""
        lines = [
            f"{method} {target} SIP/2.0",
            f"Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=z9hG4bK-[pid]-[call_number]-{branch};rport",
            changes.get("routes", "[routes]" if inside else ""),
            *self._parties(
                changes.get("from_tag", "[pid]s[call_number]"), changes.get("to_tag", peer if inside or method == "ACK" else "")
            ),
            "Call-ID: [call_id]",
            f"CSeq: {self.sent['INVITE'] if method in {'ACK', 'CANCEL'} else self.cseq} {method}",
            hops and f"Max-Forwards: {hops}",
            CONTACT if method in {"INVITE", "UPDATE", "SUBSCRIBE", "REFER"} else "",
        ]
        self._send([line for line in (*lines, *headers) if line], body, kind, repeated=method != "ACK")
        return self

    def _parties(self, from_tag: str, to_tag: str) -> tuple[str, str]:
        if self.calling:
            return f"From: <sip:caller@caller.example>;tag={from_tag}", f"To: <{self.uri}>{to_tag}"
        at = self.got["first"]
        return f"From: [$to{at}];tag=[pid]u[call_number]", f"To: [$from{at}]"

    def _send(self, lines: Sequence[str], body: str, kind: str, *, repeated: bool) -> None:
        content = [f"Content-Type: {kind}"] if body else []
        self.raw("\n".join([*lines, *content, "Content-Length: [len]", "", body]), repeated=repeated)

    def _captures(self, method: str) -> list[str]:
        self.heard = method
        at = self.got[method] = len(self.variables)
        self.got.setdefault("first", at)
        headers = {"from": "From:", "to": "To:", "cseq": "CSeq:"}
        if method == "INVITE" and not self.in_dialog:
            headers["route"] = "Record-Route:"
        return [self._ereg(VIAS, "", f"via{at}"), *(self._ereg("[^ ].*", header, f"{name}{at}") for name, header in headers.items())]

    def _via_checks(self, method: str) -> tuple[Check, Check]:
        """A response must bring back our own Via and no other."""
        return has("Via", f"z9hG4bK-[0-9]+-1-{'INVITE' if method == 'CANCEL' else method}[0-9]+"), never_says(
            "[[:cntrl:]]Via: .*[[:cntrl:]]Via: "
        )

    def _check(self, check: Check) -> str:
        name = check.keep or f"seen{len(self.variables)}"
        judged = ' check_it="true"' if check.wanted else ' check_it_inverse="true"'
        return self._ereg(check.pattern, check.header and f"{check.header}:", name, judged)

    def _ereg(self, pattern: str, header: str, variable: str, judged: str = "") -> str:
        self.variables.append(variable)
        where = f'search_in="hdr" header="{header}"' if header else 'search_in="msg"'
        return f'<ereg regexp={quoteattr(pattern)} {where}{judged} assign_to="{variable}"/>'


def callee(*always: Check) -> Party:
    """Return the called party; `always` is checked in everything that it gets."""
    return Party(calling=False, always=always)


@dataclass
class Playing:
    """A sipp process that plays a party's script once."""

    name: str
    directory: Path
    process: subprocess.Popen[str]

    @property
    def code(self) -> int | None:
        """sipp's exit code: 0 if all went well, None while it runs."""
        return self.process.poll()

    def judged(self) -> str:
        """Return the message log of a party that succeeded; fails with that log if it did not."""
        output, _ = self.process.communicate()
        log = self.log()
        assert self.code == 0, f"{self.name}: sipp exits {self.code}\n{log or output[-1500:]}"
        return log

    def log(self) -> str:
        """Return what was said, and sipp's errors."""
        files = (self.directory / f"{self.name}.{kind}" for kind in ("messages", "errors"))
        return "\n".join(path.read_text(errors="replace")[-12_000:] for path in files if path.exists())

    def stop(self) -> None:
        """End it if it still runs."""
        self.process.kill()
        self.process.wait()
        if self.process.stdout:
            self.process.stdout.close()


@dataclass
class Stage:
    """The place of one call's parties: the address that is called, and a directory for sipp's files."""

    directory: Path
    address: tuple[str, int]
    transport: str = "udp"
    call_id: str = field(default_factory=lambda: f"scene-{secrets.token_hex(8)}")
    playing: list[Playing] = field(default_factory=list)

    def plays(self, party: Party, *options: str, port: int = 0) -> Playing:
        """Start a script; a callee's port is open when this returns."""
        name = f"{'caller' if party.calling else 'callee'}{len(self.playing)}"
        transport = self.transport if party.calling else "udp"
        own, media = free_ports(2)
        (self.directory / f"{name}.xml").write_text(party.scenario(name))
        command = [
            *("sipp", "{}:{}".format(*self.address), "-sf", f"{name}.xml", "-i", "127.0.0.1", "-p", str(port or own), "-mp", str(media)),
            *("-m", "1", "-r", "1000", "-nostdin", "-timeout", str(SECONDS), "-timeout_error", "-recv_timeout", "8000"),
            *("-t", TRANSPORT_OPTIONS[transport], "-default_behaviors", "all,-bye", "-trace_msg", "-message_file", f"{name}.messages"),
            *("-trace_err", "-error_file", f"{name}.errors", *(("-cid_str", self.call_id) if party.calling else ()), *options),
        ]
        process = subprocess.Popen(command, cwd=self.directory, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.playing.append(Playing(name, self.directory, process))
        if not party.calling:
            until(partial(is_open, port or own), seconds=10, what=f"{name} listens", every=0.005)
        return self.playing[-1]

    def call(self, caller: Party, *callees: tuple[int, Party], options: Sequence[str] = ()) -> str:
        """Play a call to its end and return the caller's log; all parties must succeed."""
        playing = [self.plays(party, *options, port=port) for port, party in callees]
        playing.append(self.plays(caller, *options))
        # If one gives up, the others would wait in vain.
        until(
            lambda: any(one.code for one in playing) or all(one.code == 0 for one in playing), seconds=2 * SECONDS, what="sipp", every=0.01
        )
        return [one.judged() for one in sorted(playing, key=lambda one: not one.code)][-1]

    def close(self) -> None:
        """End what still runs."""
        for playing in self.playing:
            playing.stop()


def is_open(port: int, transport: str = "udp") -> bool:
    """Return whether a process has a port, without touching it."""
    return re.search(rf"(?m)^ *\d+: [0-9A-F]{{8}}:{port:04X} ", Path(f"/proc/net/{transport}").read_text(encoding="ascii")) is not None


@dataclass
class Scene:
    """A proxy and its relay, with static targets whose ports wait for callees."""

    fleet: Fleet
    ports: list[int]
    application: Application
    rows: subprocess.Popen[str]

    @property
    def port(self) -> int:
        """Return the first target's port."""
        return self.ports[0]

    def caller(self, *always: Check) -> Party:
        """Return a party that calls the application, and that must see nothing of the internal network."""
        inner = "|".join(f":{port}[^0-9]" for port in (*self.ports, self.fleet.env["SIPURI_SIP_INTERNAL_BIND"].rpartition(":")[2]))
        return Party(self.application.sip_uri, always=(never_says(f"{inner}|[Pp]-[Ss]ipuri|[Ww]arning *:|inside@"), *always))

    def end_of(self, stage: Stage) -> Row:
        """Wait for the end of a call's record and return its class, reason and status."""
        found = until(lambda: [row for row in self._rows(stage.call_id) if row[0] == "disconnected"], seconds=10, what="the call's row")
        assert len(found) == 1, found
        return found[0][1:]

    def _rows(self, sip_call_id: str) -> list[Row]:
        assert self.rows.stdin is not None
        assert self.rows.stdout is not None
        self.rows.stdin.write(f"{sip_call_id}\n")
        self.rows.stdin.flush()
        rows: list[Row] = json.loads(self.rows.stdout.readline())
        return rows


@contextmanager
def beside(other: Scene, *, targets: Sequence[int], **environment: str) -> Iterator[Scene]:
    """Start one more proxy with targets of its own; it shares the other scene's database and relay."""
    listed = {"SIPURI_CALLFLOW_TARGETS": ",".join(f"sip:127.0.0.1:{port}" for port in targets)}
    shared = {"SIPURI_MEDIA_RELAYS": other.fleet.env["SIPURI_MEDIA_RELAYS"]}
    fleet = Fleet(other.fleet.state, ("sipproxy",), {**listed, **shared, **environment})
    try:
        fleet.spawn("sipproxy")
        until(fleet._ready, seconds=20, what="the second proxy", every=0.1)
        yield Scene(fleet, list(targets), other.application, other.rows)
    finally:
        codes = fleet.stop()
    assert codes["sipproxy"] == 0, fleet.log("sipproxy")[-4000:]


@contextmanager
def scene(directory: Path, *, targets: int = 1, **environment: str) -> Iterator[Scene]:
    """Start proxy, relay and web; the application needs no password."""
    ports = free_ports(targets)
    listed = {"SIPURI_CALLFLOW_TARGETS": ",".join(f"sip:127.0.0.1:{port}" for port in ports)}
    fleet = Fleet(directory, ("web", "sipproxy", "mediarelay"), {**listed, **environment})
    rows = None
    try:
        fleet.prepare()
        # One interpreter for all look-ups in the database: each would cost a second to start.
        command = [sys.executable, "-c", ROWS]
        rows = subprocess.Popen(command, cwd=ROOT, env=fleet.env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        fleet.start()
        yield Scene(fleet, ports, fleet.application(passwordAuthEnabled=False, allowedSourceIps=["0.0.0.0/0"]), rows)
    finally:
        if rows is not None:
            rows.communicate()
        codes = fleet.stop()
    assert codes["sipproxy"] == 0, fleet.log("sipproxy")[-4000:]
    assert "Traceback" not in fleet.log("sipproxy"), fleet.log("sipproxy")[-4000:]
