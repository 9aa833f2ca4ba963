"""Django's groups of the roles, kept in step with the table of roles."""

from __future__ import annotations

from django.contrib.auth.models import Group, Permission
from django.db import transaction

from voiceapps.rules.people.roles import GRANTED, Capability


@transaction.atomic
def keep_in_step() -> None:
    """Give each role's group exactly the permissions of its capabilities; other groups stay as they are."""
    known = {f"{app}.{codename}": pk for pk, app, codename in Permission.objects.values_list("pk", "content_type__app_label", "codename")}
    if not known.keys() >= set(Capability):
        # The tables of a later migration are not there yet; its end calls this again.
        return
    held = {group.name: group for group in Group.objects.filter(name__in=[role.group for role in GRANTED]).prefetch_related("permissions")}
    for role, granted in GRANTED.items():
        group = held.get(role.group) or Group.objects.create(name=role.group)
        wanted = {known[capability.value] for capability in granted}
        if {permission.pk for permission in group.permissions.all()} != wanted:
            group.permissions.set(wanted)
