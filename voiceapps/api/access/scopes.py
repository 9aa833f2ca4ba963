"""The scopes that OAuth 2.0 clients can be granted."""

from __future__ import annotations

from typing import Any

from oauth2_provider.scopes import BaseScopes

from voiceapps.models import ApiClient
from voiceapps.models.accounts import SCOPES


class ClientScopes(BaseScopes):  # type: ignore[misc]  # django-oauth-toolkit ships no types
    """The scopes of each client. A token request without a scope gets all of them."""

    def get_all_scopes(self) -> dict[str, str]:
        """Return every scope with its description."""
        return SCOPES

    def get_available_scopes(self, application: ApiClient | None = None, *_args: Any, **_options: Any) -> list[str]:
        """Return the client's scopes."""
        return application.scopes if application else []

    def get_default_scopes(self, application: ApiClient | None = None, *_args: Any, **_options: Any) -> list[str]:
        """Return the client's scopes, which a request without a scope gets."""
        return self.get_available_scopes(application)
