"""What the operator of a request may do: capabilities are asked alike by the view, by the side bar and by every button.

Each capability is a permission of Django's, so that groups grant it. An operator who is bound to an account sees that account alone.
"""

from __future__ import annotations

from django.http import HttpRequest

from voiceapps.rules.people.roles import INSTALLATION_WIDE, Capability

__all__ = ["Capability", "may", "scope"]


def may(request: HttpRequest, capability: Capability) -> bool:
    """Return whether the operator has a capability; what concerns all accounts, nobody has who is bound to one."""
    if capability in INSTALLATION_WIDE and scope(request) is not None:
        return False
    return request.user.has_perm(capability.value)


def scope(request: HttpRequest) -> str | None:
    """Return the id of the account that the operator is bound to, None for all accounts."""
    # The user of a session comes with this row, so that asking costs no query.
    row = getattr(request.user, "operator", None)
    return row.account_id if row else None
