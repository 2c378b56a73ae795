"""Which network addresses callouts may reach.

Three kinds: public addresses, always; internal ones (loopback, private networks), when the named credential allows
them; all others never (link-local with the clouds' metadata services, multicast, and ranges that smuggle one address
inside another). Sources: https://www.iana.org/assignments/iana-ipv4-special-registry and iana-ipv6-special-registry.
"""

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

__all__ = ["refusal"]

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

_INTERNAL = [
    ip_network(text)
    for text in (
        "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "127.0.0.0/8", "100.64.0.0/10", "::1/128", "fc00::/7",
    )
]  # fmt: skip
# Where clouds answer with credentials to whoever asks from inside: Azure, AWS over IPv6, Alibaba. (169.254.169.254 is
# link-local anyway.)
_METADATA = [ip_network(text) for text in ("168.63.129.16/32", "fd00:ec2::/32", "100.100.100.200/32")]
# What Python 3.11 counts as global and is not a destination of its own: anycast relays, translation prefixes, tunnels.
_NOT_GLOBAL = [
    ip_network(text)
    for text in (
        "192.88.99.0/24", "192.0.0.0/24", "192.31.196.0/24", "192.52.193.0/24", "192.175.48.0/24", "::/96",
        "64:ff9b::/96", "64:ff9b:1::/48", "100:0:0:1::/64", "2001::/32", "2001:20::/28", "2002::/16",
        "2620:4f:8000::/48", "3fff::/20", "5f00::/16", "fec0::/10",
    )
]  # fmt: skip


def refusal(text: str, *, allow_internal: bool) -> str:
    """Return why the address may not be reached, or "" when it may."""
    address = _plain(text)
    if _is_in(address, _METADATA) or address.is_link_local:
        return "a metadata or link-local address, which callouts never reach"
    if _is_in(address, _INTERNAL):
        return "" if allow_internal else "an internal address, which the named credential does not allow"
    if not address.is_global or address.is_multicast or _is_in(address, _NOT_GLOBAL):
        return "not a public address"
    return ""


def _plain(text: str) -> Address:
    address = ip_address(text.split("%", 1)[0])
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address


def _is_in(address: Address, networks: Sequence[Network]) -> bool:
    return any(address in network for network in networks if network.version == address.version)
