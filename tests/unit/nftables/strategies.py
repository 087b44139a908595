"""Random tables of a small vocabulary, all legal: what is referred to exists."""

from ipaddress import ip_address, ip_network

from hypothesis import strategies as st

from groundplane.nftables.model import (
    ACCEPT,
    DROP,
    RETURN,
    Chain,
    ClearMark,
    Counter,
    Element,
    Field,
    Hook,
    HookPoint,
    Log,
    Lookup,
    MarkMatch,
    Match,
    Rule,
    Set,
    SetMark,
    SetRef,
    Span,
    Statement,
    Table,
    Verdict,
    VerdictMap,
    goto,
    jump,
)

CHAINS = ["a", "b", "c", "d"]
SETS = ["one", "two", "three"]
MAPS = ["from", "to"]
ADDRESSES: list[Element] = [ip_address(f"10.0.0.{n}") for n in range(1, 9)]
NETS: list[Element] = [ip_network(f"10.{n}.0.0/16") for n in range(1, 9)]
hooks = st.builds(
    Hook,
    point=st.sampled_from([HookPoint.FORWARD, HookPoint.INPUT]),
    priority=st.sampled_from([0, 1]),
    accept=st.booleans(),
)
sets = st.one_of(
    st.builds(Set, types=st.just(("ipv4_addr",)), elements=st.frozensets(st.sampled_from(ADDRESSES))),
    st.builds(
        Set, types=st.just(("ipv4_addr",)), interval=st.just(True), elements=st.frozensets(st.sampled_from(NETS))
    ),
)
plain: st.SearchStrategy[Statement] = st.sampled_from(
    [
        Match((Field.IIFNAME,), "eth*"),
        Match((Field.IP_SADDR,), frozenset(ADDRESSES[:3]), negate=True),
        Match((Field.TCP_DPORT,), frozenset[Element]({80, Span(90, 99)})),
        Match((Field.CT_STATE,), frozenset[Element]({"established", "related"})),
        Lookup((Field.CT_STATE,), frozenset[tuple[Element, Verdict]]({("invalid", DROP), ("established", ACCEPT)})),
        MarkMatch(0x20000, 0),
        SetMark(0x20000),
        ClearMark(0x20000),
        Counter(),
        Log("seen: "),
    ]
)


@st.composite
def tables(draw: st.DrawFn) -> Table:
    names = draw(st.lists(st.sampled_from(CHAINS), unique=True))
    made = draw(st.dictionaries(st.sampled_from(SETS), sets))
    ends = [ACCEPT, DROP, RETURN]
    bases = {f"base{n}": hook for n, hook in enumerate(draw(st.lists(hooks, max_size=2)))}
    verdicts = st.sampled_from([*ends, *(jump(name) for name in names), *(goto(name) for name in names)])
    maps = {
        name: VerdictMap(types=("ifname",), elements=draw(st.dictionaries(st.sampled_from(["x", "y", "z"]), verdicts)))
        for name in draw(st.lists(st.sampled_from(MAPS), unique=True))
    }
    statements = st.one_of(
        plain,
        *([st.sampled_from([Match((Field.IP_DADDR,), SetRef(name)) for name in made])] if made else []),
        *([st.sampled_from([Lookup((Field.OIFNAME,), SetRef(name)) for name in maps])] if maps else []),
    )

    def rule(later: list[str]) -> Rule:
        """A jump goes to a later chain only: the kernel refuses loops."""
        end = draw(st.sampled_from([*ends, *(jump(name) for name in later)]))
        leading = [each for each in draw(st.lists(statements, max_size=2)) if not isinstance(each, Lookup)]
        return Rule((*leading, end), draw(st.sampled_from(["", "gnp/deny-all rule 2"])))

    def rules(later: list[str]) -> tuple[Rule, ...]:
        return tuple(rule(later) for _ in range(draw(st.integers(0, 2))))

    lookups = tuple(Rule((Lookup((Field.OIFNAME,), SetRef(name)),)) for name in maps)
    chains = {name: Chain(rules=rules(names[at + 1 :])) for at, name in enumerate(names)}
    chains |= {name: Chain(hook=hook, rules=(*rules(names), *lookups)) for name, hook in bases.items()}
    return Table(name="t", chains=chains, sets=made, maps=maps)
