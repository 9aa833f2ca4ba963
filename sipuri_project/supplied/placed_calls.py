"""Calls that a worker places to hear what a caller hears: from this host, through the proxies that the DNS names."""

from __future__ import annotations

from callflow.aio.placed_call import place_call
from callflow.sip.outgoing import Credentials, Destination
from daemonkit.address import Address
from daemonkit.interfaces import address_towards
from voiceapps.rules.trials.placed_call import Outcome
from voiceapps.services.trials.placed_calls import Planned

CALLER = "sipuri-test"


async def place(planned: Planned) -> Outcome:
    """Place a call through the first proxy that gives a sign of life, and return what came of it."""
    for proxy in planned.proxies:
        outcome = await place_call(_destination(planned, proxy), planned.dialling, address_towards(proxy))
        if outcome is not None:
            return outcome
    tried = ", ".join("{}:{}".format(*proxy) for proxy in planned.proxies)
    return Outcome(problem=f"No SIP proxy answered at {tried}. Is one running, and can this host reach it by UDP?")


def _destination(planned: Planned, proxy: Address) -> Destination:
    credentials = Credentials(planned.username, planned.realm, planned.ha1) if planned.ha1 else None
    return Destination(planned.uri, proxy, CALLER, credentials, call_id=planned.sip_call_id)
