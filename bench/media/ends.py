"""The two ends of the calls, each a process in its own namespace and on its own core."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from bench.child import Child
from bench.media.namespaces import CALLER, CALLER_ADDRESS, ENGINE, ENGINE_ADDRESS

CALLER_SSRC, ENGINE_SSRC = 0x10000000, 0x20000000


@dataclass(frozen=True, slots=True)
class Ends:
    """The caller, whose packets are measured, and the engine, which counts them."""

    caller: Child
    engine: Child


@contextmanager
def ends() -> Iterator[Ends]:
    """Run both ends."""
    with ExitStack() as closing:
        caller = _end(CALLER, host=CALLER_ADDRESS, ssrc=CALLER_SSRC, far_ssrc=ENGINE_SSRC, core=min(os.sched_getaffinity(0)))
        closing.callback(caller.close)
        engine = _end(ENGINE, host=ENGINE_ADDRESS, ssrc=ENGINE_SSRC, far_ssrc=CALLER_SSRC, core=max(os.sched_getaffinity(0)))
        closing.callback(engine.close)
        yield Ends(caller, engine)


def _end(namespace: str, **options: object) -> Child:
    named = [f"--{name.replace('_', '-')}={value}" for name, value in options.items()]
    command = ["ip", "netns", "exec", namespace, sys.executable, "-m", "bench.media.endpoint", *named]
    return Child(f"The endpoint in {namespace}", command)
