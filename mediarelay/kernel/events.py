"""The events by which the core asks the kernel; the shell answers each before it does anything else."""

from __future__ import annotations

from dataclasses import dataclass

from mediarelay.kernel.flow import KernelFlow


@dataclass(frozen=True, slots=True)
class FlowsWanted:
    """Asks the kernel to forward flows, all or none; answered by `Offload.installed`."""

    flows: tuple[KernelFlow, ...]


@dataclass(frozen=True, slots=True)
class FlowsEnded:
    """Asks the kernel to stop forwarding flows; answered by `Offload.ended` with their last counts."""

    number: int
    flows: tuple[KernelFlow, ...]


@dataclass(frozen=True, slots=True)
class CountsWanted:
    """Asks for the counts of all flows in the kernel; answered by `Offload.counted`."""


@dataclass(frozen=True, slots=True)
class CheckWanted:
    """Asks what came in and what left of flows that are new in the kernel; answered by `Offload.checked`."""

    flows: tuple[KernelFlow, ...]


@dataclass(frozen=True, slots=True)
class FlowsProven:
    """Fired when packets of these flows are known to leave this machine: a shorter path may be taken. Needs no answer."""

    flows: tuple[KernelFlow, ...]


KernelEvent = FlowsWanted | FlowsEnded | FlowsProven | CountsWanted | CheckWanted
