"""The roles of operators: each is a set of capabilities, in one table."""

from __future__ import annotations

from enum import StrEnum
from types import MappingProxyType


class Capability(StrEnum):
    """One thing that an operator may do, by the permission of Django's that grants it."""

    SEE_CALLS = "voiceapps.view_call"
    SEE_PERSONAL = "voiceapps.see_personal"
    SEE_TRACES = "voiceapps.see_traces"
    HEAR_RECORDINGS = "voiceapps.view_recording"
    EXPORT_CALLS = "voiceapps.export_calls"
    END_CALLS = "voiceapps.end_calls"
    SEE_REFUSALS = "voiceapps.view_refusedattempt"
    SEE_WEBHOOKS = "voiceapps.view_webhookdelivery"
    REPLAY_WEBHOOKS = "voiceapps.change_webhookdelivery"
    SEE_APPLICATIONS = "voiceapps.view_voiceapplication"
    CHANGE_APPLICATIONS = "voiceapps.change_voiceapplication"
    SEE_BANS = "voiceapps.view_ban"
    PLACE_BANS = "voiceapps.add_ban"
    LIFT_BANS = "voiceapps.delete_ban"
    SEE_NODES = "voiceapps.view_node"
    ORDER_NODES = "voiceapps.change_node"
    TRY_OUT = "voiceapps.add_callsimulation"
    SEE_AUDIT = "voiceapps.view_auditentry"
    SEE_ACCOUNTS = "voiceapps.view_account"
    CHANGE_ACCOUNTS = "voiceapps.change_account"
    SEE_CLIENTS = "voiceapps.view_apiclient"
    REVEAL = "voiceapps.reveal"
    MANAGE_PEOPLE = "auth.change_user"


class Role(StrEnum):
    """What an operator is; each role has all capabilities of the one before it."""

    VIEWER = "viewer"
    SUPPORT = "support"
    OPERATOR = "operator"
    ADMIN = "admin"

    @property
    def group(self) -> str:
        """The name of Django's group; without the prefix it could be one that an installation has made itself."""
        return f"sipuri {self.value}"


_VIEWER = frozenset(
    {
        Capability.SEE_CALLS,
        Capability.SEE_REFUSALS,
        Capability.SEE_WEBHOOKS,
        Capability.SEE_APPLICATIONS,
        Capability.SEE_NODES,
    }
)
_SUPPORT = _VIEWER | {
    Capability.SEE_BANS,
    Capability.SEE_PERSONAL,
    Capability.SEE_TRACES,
    Capability.HEAR_RECORDINGS,
    Capability.TRY_OUT,
    Capability.EXPORT_CALLS,
}
_OPERATOR = _SUPPORT | {
    Capability.CHANGE_APPLICATIONS,
    Capability.PLACE_BANS,
    Capability.LIFT_BANS,
    Capability.ORDER_NODES,
    Capability.REPLAY_WEBHOOKS,
    Capability.END_CALLS,
}
GRANTED = MappingProxyType(
    {
        Role.VIEWER: _VIEWER,
        Role.SUPPORT: _SUPPORT,
        Role.OPERATOR: _OPERATOR,
        Role.ADMIN: frozenset(Capability),
    }
)
"""The capabilities of each role, the smallest role first."""

INSTALLATION_WIDE = frozenset(
    {
        Capability.SEE_BANS,
        Capability.PLACE_BANS,
        Capability.LIFT_BANS,
        Capability.SEE_NODES,
        Capability.ORDER_NODES,
        Capability.CHANGE_ACCOUNTS,
        Capability.MANAGE_PEOPLE,
    }
)
"""What an operator who is bound to one account has not, whatever the role: it concerns all accounts."""


def grantable(own: frozenset[Capability]) -> tuple[Role, ...]:
    """Return the roles that somebody with these capabilities may give to others: none has more."""
    return tuple(role for role, granted in GRANTED.items() if granted <= own)
