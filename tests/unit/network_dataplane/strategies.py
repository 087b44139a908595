"""Random dataplanes and packets over a small world, so that rules and packets often meet."""

from ipaddress import ip_address, ip_network

from hypothesis import strategies as st

from groundplane.network.calc.model import (
    Action,
    Chain,
    Dataplane,
    Endpoint,
    ICMPMatch,
    PolicyID,
    PortRange,
    ProfileID,
    Rule,
    SetName,
    Side,
    Tier,
)
from groundplane.network.dataplane.policy import EndpointToHost, Options
from groundplane.nftables.evaluate import Packet

V4 = [ip_address(text) for text in ("10.0.0.1", "10.0.0.2", "10.0.1.1", "10.1.0.1", "192.0.2.1")]
V6 = [ip_address(text) for text in ("fd00::1", "fd00::2", "fd00::1:1", "fe80::1", "2001:db8::1", "::")]
NETS = [
    ip_network(text)
    for text in (
        "10.0.0.1/32",
        "10.0.0.2/32",
        "10.0.0.0/24",
        "10.0.1.0/24",
        "10.0.2.0/23",
        "10.0.0.0/15",
        "0.0.0.0/0",
        "fd00::1/128",
        "fd00::2/128",
        "fd00::/112",
        "fd00::1:0/112",
        "::/0",
    )
]
POLICIES = [PolicyID(name) for name in ("gnp/a", "gnp/b", "np/ns/c", "np/ns/d")]
PROFILES = [ProfileID(name) for name in ("kns.ns", "other")]
SETS = [SetName(name) for name in ("s:one", "two", "three")]
INTERFACES = ["cali1", "cali2", "tap3"]
PROTOCOLS = [1, 4, 6, 17, 58, 132, 47]


def several(values: list[object], most: int = 2) -> st.SearchStrategy[tuple[object, ...]]:
    return st.lists(st.sampled_from(values), max_size=most, unique=True).map(tuple)


ports = st.lists(
    st.tuples(st.sampled_from([0, 1, 53, 79, 80, 81]), st.sampled_from([0, 1, 2, 50000, 65535])).map(
        lambda pair: PortRange(first=pair[0], last=min(pair[0] + pair[1], 65535))
    ),
    max_size=3,
).map(tuple)
rarely_ports = st.one_of(st.just(()), st.just(()), ports)
icmp_matches = st.builds(ICMPMatch, type=st.sampled_from([0, 3, 8]), code=st.sampled_from([None, 0, 1]))


def rarely(strategy: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
    return st.one_of(st.none(), st.none(), strategy)


sides = st.builds(
    Side,
    nets=several(NETS),  # type: ignore[arg-type]
    sets=several(SETS, 1),  # type: ignore[arg-type]
    ports=rarely_ports,
    not_nets=st.one_of(st.just(()), several(NETS)),  # type: ignore[arg-type]
    not_sets=st.one_of(st.just(()), several(SETS, 2)),  # type: ignore[arg-type]
    not_ports=rarely_ports,
)
plain_sides = st.one_of(st.just(Side()), sides)
rules = st.builds(
    Rule,
    action=st.sampled_from(Action),
    ip_version=rarely(st.sampled_from([4, 6])),
    protocol=st.one_of(st.none(), st.sampled_from(PROTOCOLS)),
    not_protocol=rarely(st.sampled_from(PROTOCOLS)),
    icmp=rarely(icmp_matches),
    not_icmp=rarely(icmp_matches),
    source=plain_sides,
    destination=plain_sides,
)
rule_lists = st.lists(rules, max_size=4).map(tuple)
chains = st.builds(Chain, ingress=rule_lists, egress=rule_lists)
tiers = st.builds(
    Tier,
    name=st.sampled_from(["default", "platform"]),
    policies=st.lists(st.sampled_from(POLICIES), min_size=1, max_size=3, unique=True).map(tuple),
    default_pass=st.booleans(),
)
tier_lists = st.lists(tiers, max_size=2, unique_by=lambda tier: tier.name).map(tuple)


def endpoint(interface: str) -> st.SearchStrategy[Endpoint]:
    return st.builds(
        Endpoint,
        interface=st.just(interface),
        addresses=several(V4[:3] + V6[:3], 3),  # type: ignore[arg-type]
        ingress=tier_lists,
        egress=tier_lists,
        profiles=several(PROFILES),  # type: ignore[arg-type]
        admin_up=st.sampled_from([True, True, True, False]),
    )


endpoint_lists = st.lists(st.sampled_from(INTERFACES), unique=True, max_size=3).flatmap(
    lambda names: st.tuples(*(endpoint(name) for name in names))
)
net_sets = st.frozensets(st.sampled_from(NETS), max_size=4)
host_sets = st.frozensets(st.sampled_from([net for net in NETS if net.prefixlen == net.max_prefixlen]), max_size=3)
dataplanes = st.builds(
    Dataplane,
    endpoints=endpoint_lists,
    policies=st.fixed_dictionaries(
        {POLICIES[0]: chains, POLICIES[1]: chains, POLICIES[2]: chains}, optional={POLICIES[3]: chains}
    ),
    profiles=st.fixed_dictionaries({PROFILES[0]: chains}, optional={PROFILES[1]: chains}),
    sets=st.fixed_dictionaries({name: st.one_of(net_sets, host_sets) for name in SETS}),
    pools=st.frozensets(st.sampled_from(NETS), max_size=2),
    masquerade=st.frozensets(st.sampled_from(NETS), max_size=2),
)
options = st.builds(
    Options,
    endpoint_to_host=st.sampled_from(EndpointToHost),
    tunnels_from_workloads=st.booleans(),
    vxlan_port=st.just(81),
)
pairs = st.one_of(
    st.tuples(st.sampled_from(V4), st.sampled_from(V4)),
    st.tuples(st.sampled_from(V6), st.sampled_from(V6)),
)
ways = st.tuples(
    st.sampled_from(["", *INTERFACES, "cali-unknown", "eth0"]), st.sampled_from(["", *INTERFACES, "cali9", "eth0"])
).filter(any)
packets = st.builds(
    lambda way, pair, **rest: Packet(iif=way[0], oif=way[1], source=pair[0], destination=pair[1], **rest),
    way=ways,
    pair=pairs,
    protocol=st.sampled_from(PROTOCOLS),
    source_port=st.sampled_from([0, 1, 53, 80, 50050, 65535]),
    destination_port=st.sampled_from([0, 1, 53, 80, 81, 50050]),
    icmp_type=st.sampled_from([0, 3, 8, 135]),
    icmp_code=st.sampled_from([0, 1, 2]),
    state=st.sampled_from(["new", "new", "new", "established", "related", "invalid", "untracked"]),
    mark=st.sampled_from([0, 0x20000, 0xFFFFFFFF]),
)
