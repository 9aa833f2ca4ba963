"""The certificate of the TLS listeners, read again when it is renewed."""

from __future__ import annotations

import ssl
from pathlib import Path

import structlog

from daemonkit.errors import CannotStart
from sipproxy.config import TlsConfig

log = structlog.get_logger(__name__)


class Certificates:
    """A TLS server context that follows its files; open connections keep their session."""

    def __init__(self, config: TlsConfig) -> None:
        """Read the files; raises CannotStart in one sentence."""
        self._config = config
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.minimum_version = ssl.TLSVersion.TLSv1_2
        try:
            self._load()
            if config.client_ca:
                self.context.load_verify_locations(config.client_ca)
                self.context.verify_mode = ssl.CERT_REQUIRED
        except (OSError, ssl.SSLError) as error:
            raise CannotStart(f"TLS has no usable certificate in {config.certificate} with the key in {config.key}: {error}.") from error

    def reload(self) -> None:
        """Use the files as they are now for new connections; unusable files change nothing."""
        try:
            self._check()
            self._load()
            log.info("certificate_read", path=self._config.certificate)
        except (OSError, ssl.SSLError) as error:
            log.error("certificate_unusable", path=self._config.certificate, error=str(error))

    def reload_if_changed(self) -> None:
        """Reload if a file has changed since it was read."""
        if self._stamp() != self._seen:
            self.reload()

    def _load(self) -> None:
        self._seen = self._stamp()
        self.context.load_cert_chain(self._config.certificate, self._config.key)

    def _check(self) -> None:
        # A chain that does not match its key would leave the context half changed: try the files on another one first.
        self._seen = self._stamp()
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(self._config.certificate, self._config.key)

    def _stamp(self) -> tuple[int, ...]:
        try:
            return tuple(Path(path).stat().st_mtime_ns for path in (self._config.certificate, self._config.key))
        except OSError:
            return ()
