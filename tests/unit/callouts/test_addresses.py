"""Which addresses callouts may reach."""

from ipaddress import ip_network

import pytest

from callouts.egress.addresses import refusal


@pytest.mark.parametrize("address", ["93.184.216.34", "8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8", "2a00:1450::1"])
def test_public_addresses_are_reached(address):
    assert refusal(address, allow_internal=False) == ""


INTERNAL = ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "127.0.0.0/8", "100.64.0.0/10", "::1/128", "fc00::/7"]
NEVER = [
    "0.0.0.0/8", "169.254.0.0/16", "192.0.0.0/24", "192.0.2.0/24", "192.31.196.0/24", "192.52.193.0/24",
    "192.88.99.0/24", "192.175.48.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4",
    "240.0.0.0/4", "255.255.255.255/32", "168.63.129.16/32", "100.100.100.200/32", "::/128", "64:ff9b::/96",
    "64:ff9b:1::/48", "100::/64", "100:0:0:1::/64", "2001::/32", "2001:20::/28", "2001:db8::/32", "2002::/16",
    "2620:4f:8000::/48", "3fff::/20", "5f00::/16", "fd00:ec2::/32", "fe80::/10", "fec0::/10", "ff00::/8",
]  # fmt: skip


def samples(networks):
    """The first, a middle and the last address of each network."""
    for text in networks:
        network = ip_network(text)
        for index in {0, network.num_addresses // 2, network.num_addresses - 1}:
            yield str(network[index])


@pytest.mark.parametrize("address", list(samples(INTERNAL)))
def test_internal_addresses_are_reached_where_the_credential_allows_them(address):
    assert refusal(address, allow_internal=False)
    assert refusal(address, allow_internal=True) == ""


@pytest.mark.parametrize("address", list(samples(NEVER)))
@pytest.mark.parametrize("allow_internal", [True, False])
def test_the_rest_is_never_reached(address, allow_internal):
    assert refusal(address, allow_internal=allow_internal)


@pytest.mark.parametrize("address", ["::ffff:127.0.0.1", "::ffff:169.254.169.254", "::127.0.0.1", "fe80::1%eth0"])
def test_addresses_inside_addresses_are_seen_through(address):
    assert refusal(address, allow_internal=False)
