"""The configurations of telephones that nobody here wrote."""

from __future__ import annotations

from pathlib import Path

from tests.support.fleet import Application, free_ports


def linphone_config(application: Application, next_hop: str, sip: str = "") -> str:
    """Return a configuration with our proxy for everything; `sip` holds further lines of its section."""
    port, media = free_ports(2)
    return f"""[sip]
sip_port={port}
sip_tcp_port={port + 2}
sip_tls_port={port + 4}
bind_address=127.0.0.1
use_ipv6=0
ipv6_migration_done=1
auto_net_state_mon=0
default_proxy=0
verify_server_certs=0
verify_server_cn=0
{sip}
[rtp]
audio_rtp_port={media}
[proxy_0]
reg_proxy=<sip:{next_hop};lr>
reg_route=<sip:{next_hop};lr>
reg_identity=sip:{application.application_id}@sip-uri.localhost
reg_sendregister=0
[auth_info_0]
username={application.application_id}
passwd={application.password}
realm=sip-uri.localhost
domain=sip-uri.localhost
"""


def baresip_files(directory: Path, application: Application, next_hop: str, *, media: str = "", sound: Path | None = None) -> None:
    """Write the files of a baresip that calls through a proxy.

    `media` is how it encrypts: `srtp` offers keys, `srtp-mand` insists on them. It plays `sound`, and then keeps what it hears in a file
    `*-dec.wav`.
    """
    (directory / "config").write_text(_baresip_config() if sound is None else _with_files(directory, sound))
    account = (
        f"<sip:{application.application_id}@sip-uri.localhost>;regint=0;auth_user={application.application_id};"
        f'auth_pass={application.password};outbound="sip:{next_hop}";audio_codecs=PCMU{f";mediaenc={media}" if media else ""}\n'
    )
    (directory / "accounts").write_text(account)
    (directory / "contacts").write_text("")


def _with_files(directory: Path, sound: Path) -> str:
    config = _baresip_config().replace("audio_source aubridge,nil", f"audio_source aufile,{sound}")
    return f"{config}module sndfile.so\nsnd_path {directory}\n"


def _baresip_config() -> str:
    return """module_path /usr/lib/baresip/modules
sip_listen 127.0.0.1:0
net_interface 127.0.0.1
sip_verify_server no
audio_source aubridge,nil
audio_player aubridge,nil
module g711.so
module srtp.so
module aufile.so
module aubridge.so
module_app account.so
module_app contact.so
module_app menu.so
"""
