"""The fixtures of the integration tests: the same daemons, for peers that stay for long."""

from tests.integration.conftest import backend, fleet, make_fleet, packages, root

__all__ = ["backend", "fleet", "make_fleet", "packages", "root"]
