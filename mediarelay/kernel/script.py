"""The rules by which the kernel forwards flows, as nft reads them (D7).

On the way in, a packet from a flow's source to its port gets the flow's mark, and the far end as its destination. On
the way out its source becomes the port that the far end knows. `prerouting` and `postrouting` see what comes from and
goes to other machines; `output` and `input` see what this machine sends to itself.

Two cases of local packets are left out. A packet to this machine has passed `postrouting` before `input` sees it, and
would be counted twice there. It has also passed `output` before `prerouting` sees it: if its flow was installed after
`output` ran, its destination would be rewritten in `prerouting`, but its source never.

A packet asks one map after the other. One that is on its way while its flow ends may not find all that it needs, and is
dropped: half rewritten, it would tell one side where the other is. Only plain RTP is taken. Everything else goes to the
sockets: RTCP, STUN, packets with an extension, padding or contributing sources, fragments (only the first of which
has ports), and packets without a checksum, which the rewriting would break.

All leave with the same class of service, as those from our sockets do.

The first octets of one in 64 packets are copied to us; the packet itself is not delayed.
"""

from __future__ import annotations

from mediarelay.config import RelayConfig

SAMPLE_OCTETS = 60
"""Of each copied packet: headers of IP with some options, UDP and RTP."""
SAMPLED = 64
"""One packet in this many is copied."""
PLAIN_RTP = "ip frag-off & 0x3fff == 0 udp checksum != 0 @th,64,8 0x80 @th,72,8 & 0xe0 != 0xc0"
"""Matches plain RTP only, provided that the packet is long enough."""
_PROBES = 2
"""Flows by which a start tries the rules."""


def table_name(config: RelayConfig) -> str:
    """Return the name of a relay's table: one for each ng address and worker."""
    host, port = config.ng_bind
    return f"sipuri_media_{host.replace('.', '_')}_{port}_{config.worker}"


def delete_script(config: RelayConfig) -> str:
    """Return the script that removes a relay's table, whether it exists or not."""
    name = table_name(config)
    return f"table ip {name}\ndelete table ip {name}\n"


def create_script(config: RelayConfig) -> str:
    """Return the script that makes a relay's table, empty, replacing an existing one."""
    size = config.max_kernel_flows + _PROBES
    # `jump` must end its line.
    take = (
        f"  udp dport >= {config.lowest_port} udp length >= 20 {PLAIN_RTP}"
        " meta mark set ip saddr . udp sport . ip daddr . udp dport map @m_flow jump to_far\n"
    )
    ours = f"  meta mark & {_mask(config.marks):#010x} == {config.marks.start:#010x} jump from_relay\n"
    return f"""{delete_script(config)}table ip {table_name(config)} {{
 map m_flow {{ type ipv4_addr . inet_service . ipv4_addr . inet_service : mark; size {size}; counter; }}
 map m_daddr {{ type mark : ipv4_addr; size {size}; }}
 map m_dport {{ type mark : inet_service; size {size}; }}
 map m_saddr {{ type mark : ipv4_addr; size {size}; counter; }}
 map m_sport {{ type mark : inet_service; size {size}; }}
 chain to_far {{
  numgen random mod {SAMPLED} 0 log group {config.log_group} snaplen {SAMPLE_OCTETS}
  notrack
  ip dscp set {config.dscp}
  ip daddr set meta mark map @m_daddr udp dport set meta mark map @m_dport accept
  drop
 }}
 chain from_relay {{
  ip saddr set meta mark map @m_saddr udp sport set meta mark map @m_sport accept
  drop
 }}
 chain prerouting {{ type filter hook prerouting priority raw - 10;
  iif lo accept
{take} }}
 chain output {{ type route hook output priority raw - 10;
{take} }}
 chain input {{ type filter hook input priority 300;
  iif lo accept
{ours} }}
 chain postrouting {{ type filter hook postrouting priority 300;
{ours} }}
}}
"""


def _mask(marks: range) -> int:
    return 0xFFFF_FFFF ^ (len(marks) - 1)
