"""Two operators with one record open: the second saves what it has changed itself, and undoes nothing of the first."""

from __future__ import annotations

from typing import Any

from django import forms


class OwnChangesForm(forms.ModelForm):  # type: ignore[type-arg]  # the generic form exists in the stubs only
    """A form that carries the values it was opened with: a field that was left as it was keeps what is stored now."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        for field in self.fields.values():
            field.show_hidden_initial = bool(self.instance.pk) and not field.disabled

    def clean(self) -> dict[str, Any]:
        """Return the values: what was sent where it was changed, what is stored where it was not."""
        values: dict[str, Any] = super().clean() or self.cleaned_data
        for name, field in self.fields.items():
            was_told = field.show_hidden_initial and self.add_initial_prefix(name) in self.data
            if was_told and name in values and name not in self.changed_data:
                values[name] = field.to_python(self.get_initial_for_field(field, name))
        return values
