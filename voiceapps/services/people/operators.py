"""Operators: their roles, the account they are bound to, and that an admin is always left."""

from __future__ import annotations

from django.contrib.auth.models import Group, User
from django.contrib.sessions.backends.db import SessionStore
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import F, Q, QuerySet

from voiceapps.models import Account, Operator
from voiceapps.rules.people.roles import Capability, Role
from voiceapps.services import audit
from voiceapps.services.audit import Actor
from voiceapps.services.diagnosis import exports

LAST_ADMIN = "Nobody else is an admin of all accounts: make somebody one first."
EDITED = ("username", "first_name", "last_name", "email", "is_active", "is_staff", "is_superuser")
"""The columns that the form of a person changes."""


def role_of(user: User) -> Role | None:
    """Return an operator's role, the greatest of several; None for somebody with permissions of an own making only."""
    if user.is_superuser:
        return Role.ADMIN
    names = {group.name for group in user.groups.all()}
    return next((role for role in reversed(Role) if role.group in names), None)


def capabilities(user: User) -> frozenset[Capability]:
    """Return all that a person may do, while active."""
    if user.is_superuser:
        return frozenset(Capability)
    granted = set(user.user_permissions.values_list("content_type__app_label", "codename"))
    granted |= set(Group.objects.filter(user=user).values_list("permissions__content_type__app_label", "permissions__codename"))
    return frozenset(capability for capability in Capability if tuple(capability.value.split(".")) in granted)


def is_last_admin(user: User) -> bool:
    """Return whether nobody but this person is an admin of all accounts."""
    admins = _admins()
    return admins.filter(pk=user.pk).exists() and not admins.exclude(pk=user.pk).exists()


def check_admin_left(user: User, role: Role | None, account: Account | None, *, is_active: bool) -> None:
    """Raise ValidationError if nobody would be an admin of all accounts when a person has become this."""
    if not (role is Role.ADMIN and account is None and is_active) and is_last_admin(user):
        raise ValidationError(LAST_ADMIN)


@transaction.atomic
def ensure_operator(password: str, *, actor: Actor, username: str = "admin") -> User:
    """Return the admin, created if missing, with this password set; older sessions and enrolment links of this person end."""
    user, _ = User.objects.get_or_create(username=username, defaults={"is_staff": True, "is_superuser": True})
    user.set_password(password)
    user.save()
    end_sessions(user)
    audit.record(actor, "operator.ensure", username, {})
    return user


@transaction.atomic
def add(user: User, role: Role, account: Account | None, *, actor: Actor) -> User:
    """Store a new person, whose password is set already."""
    user.is_staff, user.is_superuser = True, False
    user.save(force_insert=True)
    Operator.objects.create(user=user, account=account)
    user.groups.set([Group.objects.get(name=role.group)])
    audit.record(actor, "operator.add", user.get_username(), _described(role, account, user))
    return user


@transaction.atomic
def change(user: User, role: Role, account: Account | None, *, actor: Actor) -> User:
    """Store a person's changed row, role and account, and end the person's sessions if one of these changed; raises ValidationError.

    With another account the person's files of calls go: they hold what could be seen with the old one.
    """
    _one_at_a_time()
    stored = User.objects.get(pk=user.pk)
    before = _described(role_of(stored), _account(stored), stored)
    check_admin_left(stored, role, account, is_active=user.is_active)
    user.is_superuser = stored.is_superuser and role is Role.ADMIN
    user.is_staff = True
    # Only what is edited: the row was read before the lock, and the password may have changed meanwhile.
    user.save(update_fields=EDITED)
    Operator.objects.update_or_create(user=user, defaults={"account": account})
    ours = Group.objects.filter(name__in=[known.group for known in Role])
    user.groups.remove(*ours.exclude(name=role.group))
    user.groups.add(Group.objects.get(name=role.group))
    # Those given one by one, by earlier versions, are shown nowhere: the role says it all.
    user.user_permissions.clear()
    after = _described(role, account, user)
    changes = {name: value for name, value in after.items() if before[name] != value}
    if "account" in changes:
        exports.drop(user.pk)
    if changes:
        end_sessions(user)
        audit.record(actor, "operator.change", user.get_username(), changes, before={name: before[name] for name in changes})
    return user


@transaction.atomic
def remove(user: User, *, actor: Actor) -> None:
    """Delete a person; raises ValidationError for the last admin."""
    _one_at_a_time()
    if is_last_admin(user):
        raise ValidationError(LAST_ADMIN)
    audit.record(actor, "operator.remove", user.get_username(), {})
    user.delete()


@transaction.atomic
def password_changed(user: User, *, actor: Actor) -> None:
    """Audit that a password was set; sessions end by it, since Django ties them to the password."""
    audit.record(actor, "operator.set_password", user.get_username(), {})


@transaction.atomic
def logged_in(user: User, by: str, *, actor: Actor) -> None:
    """Audit that a person has logged in, and what proved who it is."""
    audit.record(actor, "operator.log_in", user.get_username(), {"proof": by})


def end_sessions(user: User) -> None:
    """Have the person's sessions and enrolment links end: they were made in an older generation."""
    Operator.objects.get_or_create(user=user)
    Operator.objects.filter(user=user).update(generation=F("generation") + 1)


def sweep_sessions() -> None:
    """Delete the sessions that have lasted as long as one may; nobody is logged out by it."""
    SessionStore.clear_expired()


def generation_of(user: User) -> int:
    """Return the number that new sessions and links of the person carry, as it is stored now."""
    return Operator.objects.filter(user=user).values_list("generation", flat=True).first() or 0


def _one_at_a_time() -> None:
    """Have other changes of people wait for this transaction: two admins could remove each other."""
    Group.objects.select_for_update().get(name=Role.ADMIN.group)


def _admins() -> QuerySet[User]:
    admins = User.objects.filter(Q(is_superuser=True) | Q(groups__name=Role.ADMIN.group), is_active=True, is_staff=True)
    return admins.exclude(operator__account__isnull=False).distinct()


def _account(user: User) -> Account | None:
    row = Operator.objects.filter(user=user).select_related("account").first()
    return row.account if row else None


def _described(role: Role | None, account: Account | None, user: User) -> dict[str, object]:
    return {"role": role.value if role else "", "account": account.pk if account else "", "active": user.is_active, "name": user.username}
