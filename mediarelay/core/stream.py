"""One media section of a call: for each party a leg, which is a pair of local ports and what was learned of the far ones."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import NamedTuple, Self

from daemonkit.address import Address
from mediarelay.core.addresses import AddressPolicy
from mediarelay.core.flow import Drop, Flow, PlainFlow, RtcpFlow, RtpFlow
from mediarelay.core.learning import Learner
from mediarelay.core.reports import Reports
from mediarelay.kernel.flow import Counts, KernelFlow, Plane
from mediarelay.sdp.description import Media
from mediarelay.sdp.rtcp_mux import MuxOffer

FIRST_RETRY_SECONDS, LAST_RETRY_SECONDS = 1.0, 60.0


class MediaProfile(NamedTuple):
    """The kind of packets in a stream."""

    is_rtp: bool
    clock_rate: int
    """Timestamp units a second."""
    is_dtls: bool = False

    @classmethod
    def of(cls, media: Media) -> Self:
        """Return the profile of a media section."""
        return cls(media.is_rtp, media.clock_rate, media.is_dtls)


class Leg:
    """One party's end of one stream; `on_change` is called when something was learned."""

    def __init__(
        self, local: Address, profile: MediaProfile, policy: AddressPolicy, drops: Counter[Drop], on_change: Callable[[], None]
    ) -> None:
        self.learner = Learner(policy, on_change)
        self.reports = Reports(profile.clock_rate)
        self.rtp = self._media_flow(local, profile, drops)
        self.rtcp = RtcpFlow((local[0], local[1] + 1), self.learner, drops, policy, self.reports)
        self.muxed = False
        """Whether this party sends and expects RTCP on its RTP port."""

    def describe(self, media: Media, place: Address | None, signalling: str | None) -> None:
        """Take over what the party's own description says of where it listens: at `place`, or as before if that is None."""
        self.learner.describe(place, signalling)
        self.reports.encrypted = media.is_encrypted
        if place is not None:
            self.rtcp.describe((media.rtcp.address or place[0], media.rtcp.port) if media.rtcp is not None else None)

    def flows(self) -> tuple[Flow, Flow]:
        """Return the RTP and the RTCP flow."""
        return self.rtp, self.rtcp

    def retype(self, profile: MediaProfile) -> None:
        """Follow a stream that turns from voice to fax or back; ports, lock and counts stay."""
        old = self.rtp
        self.rtp = self._media_flow(old.local, profile, old.drops)
        self.rtp.packets_in, self.rtp.bytes_in = old.packets_in, old.bytes_in
        self.rtp.packets_unsent = old.packets_unsent

    def _media_flow(self, local: Address, profile: MediaProfile, drops: Counter[Drop]) -> RtpFlow | PlainFlow:
        if profile.is_rtp:
            return RtpFlow(local, self.learner, drops, profile.clock_rate, self.reports, is_dtls=profile.is_dtls)
        return PlainFlow(local, self.learner, drops)


class Stream:
    """The legs of both parties, and the plane that forwards between them; `on_change` is called if the plane may have to change."""

    def __init__(
        self,
        call_id: str,
        locals_: tuple[Address, Address],
        profile: MediaProfile,
        policies: tuple[AddressPolicy, AddressPolicy],
        drops: Counter[Drop],
        on_change: Callable[[Stream], None],
    ) -> None:
        self._on_change = on_change
        self.call_id = call_id
        self.profile = profile
        self.mux = MuxOffer(wanted=False, shown=False, accepted=None)
        self.plane = Plane.USERSPACE
        self.kernel_flows: tuple[KernelFlow, ...] = ()
        """What the kernel carries, by the index of the party that sends it."""
        self.counted: list[Counts] = []
        """The counters of these flows at the last reading."""
        self._entered_at = 0.0
        self.offload_queued = False
        """Whether the stream is queued for the kernel."""
        self.offload_disabled = False
        """Whether the stream has to stay in userspace: it has ended, or the kernel lost its packets."""
        self.retry_at = 0.0
        """When the kernel may next be asked."""
        self._retry_seconds = FIRST_RETRY_SECONDS
        first, second = (Leg(at, profile, policy, drops, self._changed) for at, policy in zip(locals_, policies, strict=True))
        self.legs: tuple[Leg, Leg] = (first, second)
        self.join()

    def flows(self) -> Iterator[Flow]:
        """Yield every flow."""
        return (flow for leg in self.legs for flow in leg.flows())

    def retype(self, profile: MediaProfile) -> None:
        """Follow a stream that turns from voice to fax or back."""
        if (profile.is_rtp, profile.is_dtls) == (self.profile.is_rtp, self.profile.is_dtls):
            return
        self.profile = profile
        for leg in self.legs:
            leg.retype(profile)
        self.join()
        self._changed()

    def settle_mux(self, answerer: int, answered: bool) -> bool:
        """Take over an answer about RTCP on the RTP port; return what the offerer is told."""
        theirs = self.mux.shown and answered
        ours = self.mux.wanted and (theirs if self.mux.accepted is None else self.mux.accepted)
        self.legs[answerer].muxed, self.legs[1 - answerer].muxed = theirs, ours
        self.join()
        return ours

    def settled_at(self) -> float | None:
        """Return when both ends had been learned, or None if one has not, or if the stream cannot enter the kernel."""
        learners = [leg.learner for leg in self.legs]
        if self.offload_disabled or any(learner.source is None for learner in learners) or not self.profile.is_rtp:
            return None
        return max(learner.locked_at for learner in learners)

    def directions(self, marks: tuple[int, int]) -> tuple[KernelFlow, ...]:
        """Return the kernel flow of each direction, with its mark, once both ends are known."""
        flows = []
        for index, mark in enumerate(marks):
            sender, receiver = self.legs[index], self.legs[1 - index]
            source, target = sender.learner.source, receiver.learner.source
            if source is not None and target is not None:
                flows.append(KernelFlow(mark, source, sender.rtp.local, receiver.rtp.local, target))
        return tuple(flows)

    def enter_kernel(self, flows: tuple[KernelFlow, ...], counted: list[Counts], now: float) -> None:
        """Leave forwarding to the kernel, whose counters stand at `counted`."""
        self.plane, self.kernel_flows = Plane.KERNEL, flows
        self.counted, self._entered_at = counted, now
        for leg in self.legs:
            leg.learner.carried = True

    def leave_kernel(self, now: float) -> None:
        """Forward in userspace again; each time the next attempt to use the kernel comes later."""
        self.plane, self.kernel_flows = Plane.USERSPACE, ()
        for leg in self.legs:
            leg.learner.carried = False
            # The source's silence is counted from here: what came before was not seen.
            leg.learner.last_at = now
        self.retry_at = now + self._retry_seconds
        self._retry_seconds = min(2 * self._retry_seconds, LAST_RETRY_SECONDS)

    def count(self, index: int, counts: Counts, since: float, now: float) -> None:
        """Take the counter of one direction; what is new since then was received by one leg and sent by the other."""
        before = self.counted[index]
        packets, octets = counts.packets - before.packets, counts.octets - before.octets
        self.counted[index] = counts
        if packets > 0:
            self.legs[index].rtp.receive_carried(packets, octets, max(since, self._entered_at), now)

    def sample(self, index: int, packet: bytes, at: float) -> None:
        """Look at a copy, from the RTP header on, of a packet that one party sent and the kernel forwarded."""
        rtp = self.legs[index].rtp
        if isinstance(rtp, RtpFlow):
            rtp.sample(packet, at)

    def join(self) -> None:
        """Let what comes in at one leg leave from the other."""
        first, second = self.legs
        for here, there in ((first, second), (second, first)):
            here.reports.peer = there.reports
            here.rtp.peer = there.rtp
            here.rtp.rtcp_peer = here.rtcp.peer = there.rtp if there.muxed else there.rtcp

    def _changed(self) -> None:
        self._on_change(self)
