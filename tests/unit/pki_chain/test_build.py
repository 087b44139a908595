import time
from datetime import timedelta
from typing import Any

import pytest
from cryptography.x509.oid import ExtendedKeyUsageOID
from hypothesis import given, settings
from hypothesis import strategies as st

from groundplane.pki.chain.build import Pool, chains_of
from groundplane.pki.chain.constraints import covers_domain
from groundplane.pki.chain.hostname import check_host
from groundplane.pki.chain.link import Link, link_of
from groundplane.pki.chain.model import ChainRefused, Flavor, Purpose, Reason
from groundplane.pki.chain.rank import best
from tests.unit.pki_chain.workshop import DAY, NOW, Made, key, made

ROOT = made("root", ca=True, end=NOW + 900 * DAY)


def links(*them: Made) -> list[Link]:
    return [link_of(it.certificate) for it in them]


def build(leaf: Made, *middles: Made, roots: tuple[Made, ...] = (ROOT,), **more: Any) -> list[list[str]]:
    pools: dict[str, Any] = {"roots": Pool(links(*roots)), "intermediates": Pool(links(*middles))}
    chains = chains_of(link_of(leaf.certificate), **pools, at=more.pop("at", NOW), **more)
    return [[it.title for it in chain] for chain in chains]


def refused(leaf: Made, *middles: Made, **more: Any) -> Reason:
    with pytest.raises(ChainRefused) as found:
        build(leaf, *middles, **more)
    assert found.value.happened.startswith("x509: ")
    return found.value.reason


def test_every_chain_is_found_the_fitting_key_first() -> None:
    signer = key("p256", 41)
    other = made("other", ca=True)
    one = made("m", ca=True, issuer=ROOT, the_key=signer)
    two = made("m", ca=True, issuer=other, the_key=signer)
    leaf = made("l", issuer=one)
    assert build(leaf, one, two, roots=(ROOT, other)) == [["l", "m", "root"], ["l", "m", "other"]]
    assert build(leaf, two, one, roots=(other,)) == [["l", "m", "other"]]
    assert build(ROOT) == [["root"]]


def test_dates_hold_for_every_link() -> None:
    short = made("short", ca=True, issuer=ROOT, end=NOW + DAY)
    leaf = made("l", issuer=short)
    assert build(leaf, short)
    assert refused(leaf, short, at=NOW + 2 * DAY) is Reason.EXPIRED
    assert refused(leaf, short, at=NOW - 2 * DAY) is Reason.EXPIRED
    assert refused(leaf, short, at=NOW + 4000 * DAY) is Reason.EXPIRED
    assert build(leaf, short, at=NOW + DAY - timedelta(seconds=1))


def test_a_purpose_holds_for_every_link() -> None:
    client = made("c", issuer=ROOT, usages=(ExtendedKeyUsageOID.CLIENT_AUTH,))
    free = made("f", issuer=ROOT, usages=())
    assert refused(client, purpose=Purpose.SERVER) is Reason.INCOMPATIBLE_USAGE
    assert build(client, purpose=Purpose.CLIENT) == build(client) == [["c", "root"]]
    assert build(free, purpose=Purpose.SERVER)


def test_circles_and_crowds_end() -> None:
    """Ten CAs that have all signed one another: more paths than atoms, and no root among them."""
    keys = [key("p256", 60 + number) for number in range(10)]
    selves = [made(f"c{number}", ca=True, the_key=its) for number, its in enumerate(keys)]
    crowd = [
        made(f"c{number}", ca=True, the_key=its, issuer=above)
        for number, its in enumerate(keys)
        for above in selves
        if above.key is not its
    ]
    leaf = made("l", issuer=selves[0])
    start = time.process_time()
    assert refused(leaf, *crowd) in {Reason.OTHER, Reason.UNKNOWN_AUTHORITY}
    assert time.process_time() - start < 2


def test_only_a_ca_that_is_allowed_to_signs() -> None:
    for middle in (made("m", issuer=ROOT), made("m", ca=True, issuer=ROOT, may_sign=False)):
        assert refused(made("l", issuer=middle), middle) is Reason.UNKNOWN_AUTHORITY
    low = made("low", ca=True, issuer=ROOT, depth=0)
    below = made("below", ca=True, issuer=low)
    assert refused(made("l", issuer=below), low, below) is Reason.TOO_MANY_INTERMEDIATES
    assert build(made("l", issuer=low), low)


@pytest.mark.parametrize(
    ("hosts", "permitted", "excluded", "allowed"),
    [
        (("a.good.example",), ("dns:good.example",), (), True),
        (("good.example",), ("dns:.good.example",), (), False),
        (("GOOD.example",), ("dns:good.example",), (), True),
        (("evilgood.example",), ("dns:good.example",), (), False),
        (("a.example", "b.example"), (), ("dns:b.example",), False),
        (("10.1.2.3",), ("ip:10.0.0.0/8",), (), True),
        (("10.1.2.3",), (), ("ip:10.0.0.0/8",), False),
        (("::1",), ("ip:10.0.0.0/8",), (), False),
        (("x@a.example",), ("mail:a.example",), (), True),
        (("x@a.example",), ("mail:y@a.example",), (), False),
        (("https://h.example/p",), ("uri:.example",), (), True),
        (("https://10.0.0.1/p",), ("uri:.example",), (), False),
        (("https://h.other/p",), ("uri:.example",), (), False),
        (("a.example",), ("ip:10.0.0.0/8",), (), True),
    ],
)
def test_name_constraints(
    hosts: tuple[str, ...], permitted: tuple[str, ...], excluded: tuple[str, ...], *, allowed: bool
) -> None:
    middle = made("m", ca=True, issuer=ROOT, permitted=permitted, excluded=excluded)
    leaf = made("l", issuer=middle, hosts=hosts)
    if allowed:
        assert build(leaf, middle)
    else:
        assert refused(leaf, middle) is Reason.NAME_NOT_ALLOWED


def test_endless_constraints_are_cut_off() -> None:
    many = tuple(f"dns:x{number}.example" for number in range(1200))
    middle = made("m", ca=True, issuer=ROOT, excluded=many)
    leaf = made("l", issuer=middle, hosts=tuple(f"h{number}.other" for number in range(250)))
    assert refused(leaf, middle) is Reason.TOO_MANY_CONSTRAINTS


labels = st.from_regex(r"[a-z][a-z0-9]{0,5}", fullmatch=True)


@given(st.lists(labels, min_size=1, max_size=4), st.lists(labels, min_size=1, max_size=4))
@settings(deadline=None)
def test_a_constraint_covers_itself_and_what_is_below(domain: list[str], more: list[str]) -> None:
    name, below = ".".join(domain), ".".join([*more, *domain])
    assert covers_domain(name, name.upper())
    assert covers_domain(below, name)
    assert covers_domain(below, "." + name)
    assert not covers_domain(name, "." + name)
    assert not covers_domain(name, below)
    assert not covers_domain("x" + name, name)


@pytest.mark.parametrize(
    ("host", "fits"),
    [
        ("a.example", True),
        ("A.EXAMPLE", True),
        ("a.example.", True),
        ("x.w.example", True),
        ("w.example", False),
        ("x.y.w.example", False),
        ("10.0.0.1", True),
        ("::ffff:10.0.0.1", True),
        ("[fd00::1]", True),
        ("10.0.0.2", False),
        ("b.example", False),
        ("", False),
        ("*.w.example", True),
    ],
)
def test_hosts(host: str, *, fits: bool) -> None:
    leaf = made("cn.example", issuer=ROOT, hosts=("a.example", "*.w.example", "10.0.0.1", "fd00::1"))
    if fits:
        check_host(link_of(leaf.certificate), host)
    else:
        with pytest.raises(ChainRefused):
            check_host(link_of(leaf.certificate), host)


def test_a_common_name_is_no_host() -> None:
    with pytest.raises(ChainRefused, match="relies on legacy Common Name"):
        check_host(link_of(made("cn.example", issuer=ROOT).certificate), "cn.example")


def test_flavors_weigh_differently() -> None:
    signer = key("p256", 42)
    other = made("other", ca=True, the_key=key("rsa2048", 8))
    long_ = made("m", ca=True, issuer=ROOT, the_key=signer, end=NOW + 800 * DAY)
    wide = made("m", ca=True, issuer=other, the_key=key("p256", 42), end=NOW + 200 * DAY)
    leaf, root, second, one, two = links(made("l", issuer=long_), ROOT, other, long_, wide)
    chains = [(leaf, two, second), (leaf, one, root)]
    assert best(chains, Flavor.OPTIMAL)[1] is one  # ends later
    assert best([*chains, (leaf, root)], Flavor.OPTIMAL) == (leaf, root)
    assert best(chains[:1], Flavor.UBIQUITOUS) == chains[0]


@given(st.permutations(range(3)))
@settings(deadline=None, max_examples=6)
def test_what_is_best_does_not_hang_on_the_order(order: list[int]) -> None:
    leaf, root, middle, odd = links(
        made("l"), ROOT, made("m", ca=True, issuer=ROOT), made("o", ca=True, issuer=ROOT, end=NOW + 5 * DAY)
    )
    chains = [(leaf, root), (leaf, middle, root), (leaf, odd, root)]
    for flavor in (Flavor.OPTIMAL, Flavor.UBIQUITOUS):
        assert best([chains[place] for place in order], flavor) == (leaf, root)
