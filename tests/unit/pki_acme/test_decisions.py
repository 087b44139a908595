"""States, identifiers, addresses, CAA, nonces, dates and limits: decided without a network or a database."""

import itertools
from dataclasses import replace
from datetime import timedelta
from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundplane.errors import Invalid
from groundplane.pki.acme import nonces, plan
from groundplane.pki.acme.addresses import AddressRules
from groundplane.pki.acme.caa import Record, names_to_ask, permits
from groundplane.pki.acme.http01 import Ports, place_of
from groundplane.pki.acme.identifiers import (
    IdentifierPolicy,
    challenge_types,
    parse_identifier,
    parse_identifiers,
    parse_networks,
    parse_rules,
)
from groundplane.pki.acme.model import (
    Authorization,
    AuthorizationStatus,
    Challenge,
    ChallengeStatus,
    ChallengeType,
    Identifier,
    IdentifierType,
    Order,
    OrderStatus,
)
from groundplane.pki.acme.problem import Problem, Type
from groundplane.pki.acme.throttle import Throttle, network_of
from tests.support.acme import START

HOUR = timedelta(hours=1)
NAME = Identifier(IdentifierType.DNS, "a.example.test")


def order(stored: OrderStatus = OrderStatus.PENDING) -> Order:
    end = START + 2 * HOUR
    return Order(
        id="o", account="a", identifiers=(NAME,), authorizations=("x",), stored=stored, expires=end, created=START
    )


def authorization(stored: AuthorizationStatus = AuthorizationStatus.PENDING) -> Authorization:
    return Authorization(
        id="x", account="a", identifier=NAME, wildcard=False, stored=stored, expires=START + HOUR, created=START
    )


statuses = st.lists(st.sampled_from(AuthorizationStatus), min_size=1, max_size=5)


@given(st.sampled_from(OrderStatus), statuses, st.integers(0, 4))
def test_an_order_is_ready_only_while_all_is_valid(
    stored: OrderStatus, seen: list[AuthorizationStatus], hours: int
) -> None:
    now = START + hours * HOUR
    status = plan.order_status(order(stored), seen, now=now)
    if stored is not OrderStatus.PENDING:
        assert status is stored
    elif hours >= 2 or set(seen) - {AuthorizationStatus.VALID, AuthorizationStatus.PENDING}:
        assert status is OrderStatus.INVALID
    else:
        assert (status is OrderStatus.READY) == (set(seen) == {AuthorizationStatus.VALID})


AUTHORIZATION_PATH = st.lists(st.sampled_from(AuthorizationStatus), max_size=8)


@given(AUTHORIZATION_PATH, st.lists(st.integers(0, 1), min_size=8, max_size=8))
def test_whatever_an_authorization_goes_through_the_order_only_steps_forward(
    path: list[AuthorizationStatus], hours: list[int]
) -> None:
    """Follow permitted steps of the authorization while time goes on; the order's status follows permitted steps."""
    current, now = authorization(), START
    before = plan.order_status(order(), [plan.authorization_status(current, now=now)], now=now)
    for wanted, wait in zip(path, hours, strict=False):
        if wanted is not AuthorizationStatus.EXPIRED and plan.may_become(
            current.stored, wanted, steps=plan.AUTHORIZATION_STEPS
        ):
            current = replace(current, stored=wanted)
        now += wait * HOUR
        after = plan.order_status(order(), [plan.authorization_status(current, now=now)], now=now)
        reachable = {before} | plan.ORDER_STEPS[before]
        assert after in reachable, (before, after)
        before = after


@pytest.mark.parametrize("steps", [plan.ORDER_STEPS, plan.AUTHORIZATION_STEPS, plan.CHALLENGE_STEPS])
def test_no_path_leads_back(steps: dict[OrderStatus, frozenset[OrderStatus]]) -> None:
    for start in steps:
        seen: set[OrderStatus] = set()
        edge = {start}
        while edge:
            edge = set().union(*(steps[one] for one in edge)) - seen
            seen |= edge
        assert start not in seen


def test_an_answer_starts_a_validation_once_and_only_while_it_matters() -> None:
    challenge = Challenge(id="c", authorization="x", type=ChallengeType.HTTP, token="t")
    assert plan.may_start(challenge, AuthorizationStatus.PENDING)
    for status in set(ChallengeStatus) - {ChallengeStatus.PENDING}:
        assert not plan.may_start(replace(challenge, status=status), AuthorizationStatus.PENDING)
    for gone in set(AuthorizationStatus) - {AuthorizationStatus.PENDING}:
        with pytest.raises(Problem):
            plan.may_start(challenge, gone)


def test_attempts_are_bounded_and_ever_further_apart() -> None:
    waits = [plan.after_attempt(number, most=4, first_wait=timedelta(seconds=1)) for number in range(1, 6)]
    assert waits == [timedelta(seconds=1), timedelta(seconds=2), timedelta(seconds=4), None, None]


def test_an_expired_order_says_so() -> None:
    late = START + 3 * HOUR
    error = plan.order_error(order(), [authorization()], now=late)
    assert error is not None
    assert "expired" in str(error["detail"])


@given(hours=st.integers(1, 10_000), revoked=st.booleans(), now=st.integers(-10_000, 10_000))
def test_a_renewal_window_lies_within_the_life_or_is_over(*, hours: int, revoked: bool, now: int) -> None:
    end = START + hours * HOUR
    moment = START + now * HOUR
    first, last = plan.renewal_window(START, end, now=moment, revoked=revoked)
    assert first < last
    assert last < moment if revoked else START < first < last < end


LABEL = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,10}[a-z0-9])?", fullmatch=True)
DNS = st.lists(LABEL, min_size=1, max_size=4).map(".".join).filter(lambda n: not n.rpartition(".")[2].isdigit())


@given(name=DNS, wildcard=st.booleans())
def test_a_good_name_is_taken_in_lower_case(*, name: str, wildcard: bool) -> None:
    text = f"*.{name}" if wildcard else name
    found = parse_identifier("dns", text.upper())
    assert (found.value, found.wildcard, found.base) == (text, wildcard, name)


@given(st.text(max_size=300))
def test_any_other_name_is_a_problem_and_nothing_else(text: str) -> None:
    for kind in ("dns", "ip"):
        try:
            found = parse_identifier(kind, text)
        except Problem:
            continue
        assert found.value.isascii()
        assert found.value == found.value.lower()


@pytest.mark.parametrize(
    "text",
    ["a.test.", ".a", "a_b.test", "-a.test", "a-.test", "*", "*.", "a.*.test", "x" * 64 + ".test", "1.2.3.4", "127.1"],
)
def test_odd_names_are_refused(text: str) -> None:
    with pytest.raises(Problem):
        parse_identifier("dns", text)


@pytest.mark.parametrize("text", ["127.0.0.01", "::ffff:1.2.3.4%1", "2001:DB8:0::1", "fe80::1%eth0", "10.0.0.0/8", ""])
def test_addresses_have_one_text(text: str) -> None:
    with pytest.raises(Problem):
        parse_identifier("ip", text)


def test_identifiers_are_each_counted_once() -> None:
    one, upper = {"type": "dns", "value": "a.test"}, {"type": "dns", "value": "A.test"}
    assert len(parse_identifiers([one, upper], most=5)) == 1
    with pytest.raises(Problem):
        parse_identifiers([one] * 6, most=5)


def policy(allow: list[str], deny: list[str] = [], networks: list[str] = []) -> IdentifierPolicy:  # noqa: B006
    return IdentifierPolicy(
        allowed_names=parse_rules(allow, at="allow"),
        denied_names=parse_rules(deny, at="deny"),
        allowed_networks=parse_networks(networks, at="ip"),
        wildcards=True,
    )


@given(DNS, DNS)
def test_what_is_below_a_name_is_allowed_by_it_and_nothing_else_is(above: str, name: str) -> None:
    rules = policy([f"*.{above}"])
    inside = Identifier(IdentifierType.DNS, f"{name}.{above}")
    assert rules.refusal(inside) is None
    assert (rules.refusal(Identifier(IdentifierType.DNS, name)) is None) == name.endswith(f".{above}")
    assert policy(["*"], [f"*.{above}"]).refusal(inside) is not None
    assert policy(["*"], [f"*.{above}"]).refusal(Identifier(IdentifierType.DNS, f"*.{above}")) is not None


def test_a_kind_with_nothing_allowed_is_not_supported() -> None:
    refused = policy(["*"]).refusal(Identifier(IdentifierType.IP, "10.0.0.1"))
    assert refused is not None
    assert refused.type is Type.UNSUPPORTED_IDENTIFIER
    allowed = policy([], networks=["10.0.0.0/8"])
    assert allowed.refusal(Identifier(IdentifierType.IP, "10.0.0.1")) is None
    assert allowed.refusal(NAME) is not None


@pytest.mark.parametrize("text", ["a b", "10.0.0.0", "*.*", "", "http://a"])
def test_odd_patterns_are_the_operators_to_mend(text: str) -> None:
    with pytest.raises(Invalid):
        parse_rules([text], at="allow")


def test_a_wildcard_is_proved_by_dns_alone_and_an_address_never() -> None:
    wild = Identifier(IdentifierType.DNS, "*.a.test")
    assert challenge_types(wild, ChallengeType) == (ChallengeType.DNS,)
    address = Identifier(IdentifierType.IP, "10.0.0.1")
    assert challenge_types(address, ChallengeType) == (ChallengeType.HTTP, ChallengeType.TLS_ALPN)
    assert challenge_types(address, [ChallengeType.DNS]) == ()


FORBIDDEN = (
    *(
        "127.0.0.1",
        "10.1.2.3",
        "192.168.0.1",
        "172.16.0.1",
        "169.254.169.254",
        "0.0.0.0",
        "224.0.0.1",
        "255.255.255.255",
    ),
    *(
        "::1",
        "::",
        "fe80::1",
        "fc00::1",
        "ff02::1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "2002:7f00:1::",
        "2002:a00:1::",
    ),
    *("64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "100.64.0.1", "2001:db8::1", "198.18.0.1"),
)


@pytest.mark.parametrize("text", FORBIDDEN)
def test_nothing_but_the_internet_is_reached_unless_it_is_said(text: str) -> None:
    assert not AddressRules().permits(ip_address(text))


@pytest.mark.parametrize("text", ["8.8.8.8", "2606:4700::1111"])
def test_the_internet_is_reached(text: str) -> None:
    assert AddressRules().permits(ip_address(text))
    assert not AddressRules(deny=parse_networks(["0.0.0.0/0", "::/0"], at="x")).permits(ip_address(text))


def test_private_networks_are_reached_if_it_is_said_but_never_the_metadata() -> None:
    rules = AddressRules(private_networks=True)
    assert rules.permits(ip_address("10.1.2.3"))
    assert rules.permits(ip_address("fc00::1"))
    assert rules.permits(ip_address("::ffff:10.1.2.3")) is False  # no host has such an address; be safe
    for text in ("169.254.169.254", "127.0.0.1", "::1", "::ffff:169.254.169.254"):
        assert not rules.permits(ip_address(text))
    denied = replace(rules, deny=parse_networks(["10.1.0.0/16"], at="x"))
    assert not denied.permits(ip_address("10.1.2.3"))


@given(st.ip_addresses(v=4))
def test_no_ipv6_form_gets_past_what_is_denied(address: IPv4Address) -> None:
    deny = parse_networks(["0.0.0.0/0"], at="x")
    rules = AddressRules(allow=parse_networks(["::/0"], at="x"), deny=deny)
    for form in (f"::ffff:{address}", f"64:ff9b::{address}", str(IPv6Address((0x2002 << 112) | (int(address) << 80)))):
        assert not rules.permits(ip_address(form))


PORTS = Ports(http=8080, https=8443)


@pytest.mark.parametrize(
    "url",
    [
        "ftp://a.test/",
        "http://a.test:22/",
        "http://user@a.test/",
        "http://[fe80::1%25eth0]/",
        "http://*.a.test/",
        "http:///x",
        "http://a test/",
        "http://a.test:99999/",
        "gopher://127.0.0.1:6379/_x",
        "http://a.test/\r\nHost: b",
        "http://127.1/",
        "http://2130706433/",
        "http://é.test/",
        "http://a.test/" + "x" * 3000,
    ],
)
def test_redirects_do_not_lead_astray(url: str) -> None:
    with pytest.raises(Problem):
        place_of(url, PORTS)


def test_redirects_lead_to_the_ports_of_the_configuration() -> None:
    plain, secret = place_of("http://B.test/x?y", PORTS), place_of("https://b.test", PORTS)
    assert (plain.target.value, plain.port, plain.path, plain.tls) == ("b.test", 8080, "/x?y", False)
    assert (secret.port, secret.path, secret.tls) == (8443, "/", True)
    assert place_of("http://127.0.0.1/", PORTS).target.type is IdentifierType.IP


@given(st.text(max_size=100))
def test_only_problems_escape_from_redirects(text: str) -> None:
    try:
        place_of(f"http://{text}", PORTS)
    except Problem:
        pass  # that is what is to be raised


def caa(*records: tuple[str, str], critical: bool = False) -> list[Record]:
    return [Record(critical=critical, tag=tag, value=value) for tag, value in records]


@pytest.mark.parametrize(
    ("records", "wildcard", "allowed"),
    [
        (caa(("issue", "ca.test")), False, True),
        (caa(("issue", "CA.test")), False, True),
        (caa(("issue", "other.test")), False, False),
        (caa(("issue", ";")), False, False),
        (caa(("iodef", "mailto:x")), False, True),
        (caa(("issue", "ca.test"), ("issuewild", ";")), True, False),
        (caa(("issue", "ca.test"), ("issuewild", ";")), False, True),
        (caa(("issue", ";"), ("issuewild", "ca.test")), True, True),
        (caa(("issue", "other.test"), ("issue", "ca.test")), False, True),
        (caa(("future", "x"), critical=True), False, False),
        (caa(("future", "x")), False, True),
        (caa(("issue", "ca.test; accounturi=https://me")), False, True),
        (caa(("issue", "ca.test; accounturi=https://you")), False, False),
        (caa(("issue", "ca.test; validationmethods=dns-01,http-01")), False, True),
        (caa(("issue", "ca.test; validationmethods=dns-01")), False, False),
        (caa(("issue", "ca.test; nonsense")), False, False),
    ],
)
def test_caa_records_decide(*, records: list[Record], wildcard: bool, allowed: bool) -> None:
    found = permits(
        records, wildcard=wildcard, identities=["ca.test"], account_url="https://me", method=ChallengeType.HTTP
    )
    assert found is allowed


def test_caa_is_asked_up_the_tree() -> None:
    assert names_to_ask("a.b.test") == ("a.b.test", "b.test", "test")


def test_nonces_are_all_different_and_only_ours() -> None:
    secret = b"s" * 32
    made = {nonces.make(secret, now=START) for _ in range(100)}
    assert len(made) == 100
    for nonce in made:
        assert nonces.check(nonce, secret, now=START) is not None
        assert nonces.check(nonce, b"t" * 32, now=START) is None
        assert nonces.check(nonce, secret, now=START + nonces.LIFETIME) is None


@given(st.integers(0, 53), st.sampled_from("AZaz09-_"))
def test_a_changed_nonce_is_none_of_ours(place: int, letter: str) -> None:
    secret = b"s" * 32
    nonce = nonces.make(secret, now=START)
    changed = nonce[:place] + letter + nonce[place + 1 :]
    found = nonces.check(changed, secret, now=START)
    assert found is None or found == nonces.check(nonce, secret, now=START)  # the last letter has bits to spare


def test_the_throttle_is_fair_and_bounded() -> None:
    throttle = Throttle(2)
    assert [throttle.admit("a", now=0.0) for _ in range(12)] == [True] * 10 + [False] * 2
    assert throttle.admit("b", now=0.0)
    assert [throttle.admit("a", now=1.0) for _ in range(3)] == [True, True, False]
    for number in range(20_000):
        throttle.admit(f"10.0.{number // 256}.{number % 256}", now=2.0)
    assert len(throttle._buckets) == 10_000


def test_addresses_of_one_customer_count_together() -> None:
    assert network_of("2001:db8::1") == network_of("2001:db8::2") != network_of("2001:db8:0:1::1")
    assert network_of("::ffff:1.2.3.4") == network_of("1.2.3.4") == "1.2.3.4"


def test_all_pairs_of_rules_agree_that_deny_wins() -> None:
    names = ["a.test", "b.a.test"]
    for allow, deny in itertools.product(["*", "*.test", "a.test"], ["*", "*.test", "a.test"]):
        rules = policy([allow], [deny])
        for name in names:
            if parse_rules([deny], at="x").match(name):
                assert rules.refusal(Identifier(IdentifierType.DNS, name)) is not None
