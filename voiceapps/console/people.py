"""Operators: their roles, accounts, passwords and second factors. Each does no more to others than the own role allows."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group, User
from django.core.exceptions import PermissionDenied
from django.db.models import Prefetch, QuerySet
from django.http import HttpRequest, HttpResponse
from unfold.decorators import action, display
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm
from unfold.widgets import UnfoldAdminSelectWidget

from voiceapps.console.access import sessions
from voiceapps.console.base import ConsoleAdmin, operator, person
from voiceapps.console.own_changes import OwnChangesForm
from voiceapps.console.roles import Capability, may
from voiceapps.models import Account, Operator, SecondFactor
from voiceapps.reads.audit_report import AuditPage
from voiceapps.reads.person_log import person_log
from voiceapps.rules.people.roles import Role, grantable
from voiceapps.services.people import factors, operators

for model in (User, Group):
    if admin.site.is_registered(model):
        admin.site.unregister(model)


class RoleFields(OwnChangesForm):
    """A person's role, and the account that the person is bound to."""

    role = forms.ChoiceField(
        widget=UnfoldAdminSelectWidget,
        help_text="Viewer: no personal data, no SIP messages, no recordings. Support: these, try-outs and exports. "
        "Operator: changes applications, bans and nodes, too. Admin: people, accounts, secrets and the audit trail, too.",
    )
    account = forms.ModelChoiceField(
        Account.objects.all(),
        required=False,
        widget=UnfoldAdminSelectWidget,
        empty_label="all accounts",
        help_text="The only one to be seen.",
    )
    offered: tuple[Role, ...] = ()
    """The roles that whoever fills in the form may give."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.fields["role"].choices = [(role.value, role.value) for role in self.offered]  # type: ignore[attr-defined]  # a ChoiceField
        if self.instance.pk:
            role, row = operators.role_of(self.instance), Operator.objects.filter(user=self.instance).first()
            self.initial.update({"role": role.value if role else None, "account": row.account_id if row else None})

    def clean(self) -> dict[str, Any]:
        """Return the values; adds an error if no admin would be left."""
        values = super().clean()
        if self.instance.pk and "role" in values:
            try:
                role, is_active = Role(values["role"]), bool(values.get("is_active"))
                operators.check_admin_left(self.instance, role, values.get("account"), is_active=is_active)
            except forms.ValidationError as error:
                self.add_error("role", error)
        return values


class PersonAddForm(RoleFields, UserCreationForm):  # type: ignore[misc]  # Unfold ships no types
    """A new person."""


class PersonForm(RoleFields, UserChangeForm):  # type: ignore[misc]  # Unfold ships no types
    """A person who exists."""


@admin.register(User)
class PersonAdmin(ConsoleAdmin, DjangoUserAdmin):  # type: ignore[type-arg]  # the generic form exists in the stubs only
    """The pages of operators."""

    sees = adds = changes = deletes = Capability.MANAGE_PEOPLE
    audited = ("operator.", "username")
    form = PersonForm
    add_form = PersonAddForm
    change_password_form = AdminPasswordChangeForm
    list_display = ("username", "role", "bound_to", "proof", "is_active", "last_login")
    list_filter = ("is_active",)
    search_fields = ("username", "first_name", "last_name", "email")
    fieldsets = (
        (None, {"fields": ("username", "password", "is_active")}),
        ("Rights", {"fields": ("role", "account")}),
        ("Person", {"fields": ("first_name", "last_name", "email", "last_login", "date_joined")}),
    )
    add_fieldsets = ((None, {"fields": ("username", "usable_password", "password1", "password2", "role", "account")}),)
    readonly_fields = ("last_login", "date_joined")
    filter_horizontal = ()
    actions = ("reset_second_factor",)

    @display(description="Role", label=True)
    def role(self, user: User) -> str:
        """Return the role, shown as a badge."""
        role = operators.role_of(user)
        return role.value if role else "none"

    @admin.display(description="Account")
    def bound_to(self, user: User) -> str:
        """Return the account that the person is bound to."""
        row = getattr(user, "operator", None)
        return row.account_id or "all" if row else "all"

    @display(description="Second factor", label={"yes": "success", "no": "warning"})
    def proof(self, user: Any) -> str:
        """Return whether the person has one, shown as a badge."""
        return "yes" if user.factor else "no"

    def get_queryset(self, request: HttpRequest) -> Any:
        """Return the people with what their row in the list says."""
        factor = Prefetch("second_factor", SecondFactor.objects.defer("secret"), to_attr="factor")
        return super().get_queryset(request).select_related("operator").prefetch_related("groups", factor)

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **options: Any) -> Any:
        """Return the form with the roles that this operator may give."""
        made = super().get_form(request, obj, change=change, **options)
        return type(made.__name__, (made,), {"offered": grantable(operators.capabilities(person(request)))})

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return whether the operator may change people, and this one: nobody changes somebody who may do more."""
        return super().has_change_permission(request, obj) and _is_no_greater(obj, request)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return whether the operator may remove people, and this one: not the last admin."""
        may_remove = super().has_delete_permission(request, obj) and _is_no_greater(obj, request)
        return may_remove and (obj is None or not operators.is_last_admin(obj))

    def has_reset_permission(self, request: HttpRequest) -> bool:
        """Return whether the operator may take second factors from people."""
        return may(request, Capability.MANAGE_PEOPLE)

    def get_actions(self, request: HttpRequest) -> Any:
        """Return the actions without the deletion of many: each person is asked about alone."""
        return {name: found for name, found in super().get_actions(request).items() if name != "delete_selected"}

    def trail(self, _request: HttpRequest, row: Any, below: int | None) -> AuditPage:
        """Return a page of the person's part of the audit trail, under each name that it has had."""
        return person_log(row, below)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Store the person through the service."""
        store = operators.change if change else operators.add
        store(obj, Role(form.cleaned_data["role"]), form.cleaned_data["account"], actor=operator(request))
        if obj.pk == request.user.pk:
            sessions.renew(request, obj)

    def save_related(self, _request: HttpRequest, _form: Any, _formsets: Any, _change: bool) -> None:
        """Do nothing: the service has stored the role's group, and the form has no others."""

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        """Remove the person through the service."""
        operators.remove(obj, actor=operator(request))

    def user_change_password(self, request: HttpRequest, id: str, form_url: str = "") -> HttpResponse:  # noqa: A002  # Django's name
        """Set a person's password, and audit it."""
        before = self.get_object(request, id)
        response = super().user_change_password(request, id, form_url)
        after = User.objects.filter(pk=before.pk).first() if before else None
        if before and after and before.password != after.password:
            operators.password_changed(after, actor=operator(request))
        return response

    @action(description="Remove the second factor", permissions=["reset"])
    def reset_second_factor(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        """Take the second factors of the chosen people, who then enrol anew."""
        for user in queryset:
            if not _is_no_greater(user, request):
                raise PermissionDenied
            factors.reset(user, actor=operator(request))
            messages.success(request, f"{user.get_username()} has no second factor any more, and no session.")


def _is_no_greater(user: User | None, request: HttpRequest) -> bool:
    """Return whether a person may do nothing that the operator may not: by its password it could be done all the same."""
    return user is None or operators.capabilities(user) <= operators.capabilities(person(request))
