"""The router of the API's viewsets: path converters, no trailing slashes."""

from __future__ import annotations

from rest_framework.routers import Route, SimpleRouter
from rest_framework.viewsets import ViewSetMixin


class Router(SimpleRouter):
    """A router whose prefixes may hold path parameters, such as `v2/accounts/<str:account_id>/calls`."""

    routes = [  # noqa: RUF012  # DRF reads it as it is
        route._replace(initkwargs={"suffix": "Detail"}) if route.detail and isinstance(route, Route) else route
        for route in SimpleRouter.routes
    ]

    def __init__(self) -> None:
        super().__init__(trailing_slash=False, use_regex_path=False)

    def get_default_basename(self, viewset: type[ViewSetMixin]) -> str:
        """Return the viewset's name, since no viewset is registered twice."""
        return viewset.__name__
