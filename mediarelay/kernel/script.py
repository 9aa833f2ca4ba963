"""The rules by which the kernel forwards flows, as nft reads them (D7, DESIGN 5).

What comes from a flow's source to its port gets the flow's mark and, on the way in, the far end as its destination; on
the way out its source becomes the port that the far end knows. `prerouting` and `postrouting` see what comes from and
goes to other machines, `output` and `input` what this one sends and hears itself. What it sends to itself has left by
`postrouting` when `input` sees it, and would be counted twice there; and `output` has let it pass when `prerouting` sees it:
taken only there, because its flow is that new, it would never get its new source. A packet asks one map after the other; one
that is on its way while its flow ends may not find all that it needs, and is dropped: half rewritten it would tell one side
where the other is. Only plain RTP is taken: RTCP, STUN, anything with
an extension, padding or contributing sources, fragments, of which only the first has ports, and whatever came without a
checksum, which the rewriting would break, goes to the sockets.

One in 64 packets is copied to us, its first octets; the packet itself goes its way.
"""

from __future__ import annotations

from mediarelay.config import RelayConfig

SAMPLE_OCTETS = 60
"""Of each copied packet: headers of IP with some options, UDP and RTP."""
SAMPLED = 64
"""One packet in so many is copied."""
PLAIN_RTP = "ip frag-off & 0x3fff == 0 udp checksum != 0 @th,64,8 0x80 @th,72,8 & 0xe0 != 0xc0"
"""What only plain RTP matches, where it is long enough."""
_PROBES = 2
"""Flows that a start tries the rules with."""


def table_name(config: RelayConfig) -> str:
    """Return the name of a relay's table: one for each ng address and worker."""
    host, port = config.ng_bind
    return f"sipuri_media_{host.replace('.', '_')}_{port}_{config.worker}"


def delete_script(config: RelayConfig) -> str:
    """Return what removes a relay's table, whether it is there or not."""
    name = table_name(config)
    return f"table ip {name}\ndelete table ip {name}\n"


def create_script(config: RelayConfig) -> str:
    """Return what makes a relay's table, empty, in place of one that is there."""
    size = config.max_kernel_flows + _PROBES
    # `jump` wants its line to end.
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
