"""Users of the console, read with few queries: pages that poll ask for them every two seconds."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.models import Permission, User


class OperatorBackend(ModelBackend):
    """Django's own users, each with the row that says the account, and all permissions by one query."""

    def get_user(self, user_id: int) -> User | None:
        """Return the user of a session, None for one who may no longer log in."""
        user = User.objects.select_related("operator").filter(pk=user_id).first()
        return user if self.user_can_authenticate(user) else None

    def get_all_permissions(self, user_obj: Any, obj: Any = None) -> set[str]:
        """Return the permissions of a user, and of the user's groups."""
        if not user_obj.is_active or user_obj.is_anonymous or user_obj.is_superuser or obj is not None:
            return super().get_all_permissions(user_obj, obj)
        if not hasattr(user_obj, "_perm_cache"):
            names = ("content_type__app_label", "codename")
            own = Permission.objects.filter(user=user_obj).order_by().values_list(*names)
            of_groups = Permission.objects.filter(group__user=user_obj).order_by().values_list(*names)
            user_obj._perm_cache = {f"{app}.{codename}" for app, codename in own.union(of_groups)}
        permissions: set[str] = user_obj._perm_cache
        return permissions
