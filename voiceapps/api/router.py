"""The router of the API's viewsets: path converters, no trailing slashes."""

from __future__ import annotations

from rest_framework.routers import DynamicRoute, Route, SimpleRouter
from rest_framework.viewsets import ViewSetMixin


def _with_more(route: Route | DynamicRoute) -> Route | DynamicRoute:
    if not isinstance(route, Route):
        return route
    if route.detail:
        return route._replace(initkwargs={"suffix": "Detail"}, mapping={**route.mapping, "post": "modify"})
    return route._replace(mapping={**route.mapping, "put": "replace"})


class Router(SimpleRouter):
    """A router whose prefixes may hold path parameters, such as `v2/accounts/<str:account_id>/calls`.

    Beside DRF's methods a viewset may have `modify`, a POST to one resource, and `replace`, a PUT to a resource without an id.
    """

    routes = [_with_more(route) for route in SimpleRouter.routes]  # noqa: RUF012  # DRF reads it as it is

    def __init__(self) -> None:
        super().__init__(trailing_slash=False, use_regex_path=False)

    def get_default_basename(self, viewset: type[ViewSetMixin]) -> str:
        """Return the viewset's name, since no viewset is registered twice."""
        return viewset.__name__
