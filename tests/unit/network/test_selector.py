from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundplane.errors import Invalid
from groundplane.network.selector import (
    EVERYTHING,
    All,
    And,
    Label,
    Node,
    Not,
    Operator,
    Or,
    Selector,
    both,
    equals,
    of_namespaces,
    of_service_accounts,
    parse,
)

KEYS = st.sampled_from(["a", "b", "has", "in", "all", "projectcalico.org/name", "A_b-c.d"])
VALUES = st.text(st.characters(exclude_characters="'", codec="utf-8"), max_size=5) | st.sampled_from(["x", "it's", ""])
LABELS = st.dictionaries(KEYS, VALUES, max_size=4)
ONE = st.builds(
    lambda key, operator, value: Label(key, operator, (value,)),
    KEYS,
    st.sampled_from([Operator.EQUALS, Operator.DIFFERS, Operator.CONTAINS, Operator.STARTS_WITH, Operator.ENDS_WITH]),
    VALUES,
)
MANY = st.builds(
    lambda key, operator, values: Label(key, operator, tuple(sorted(values))),
    KEYS,
    st.sampled_from([Operator.IN, Operator.NOT_IN]),
    st.frozensets(VALUES, max_size=3),
)
LEAVES: st.SearchStrategy[Node] = ONE | MANY | st.builds(Label, KEYS, st.just(Operator.HAS)) | st.just(All())


def grow(inner: st.SearchStrategy[Node]) -> st.SearchStrategy[Node]:
    several = st.lists(inner, min_size=2, max_size=3).map(tuple)
    return several.map(And) | several.map(Or) | inner.filter(lambda node: not isinstance(node, Not)).map(Not)


NODES = st.recursive(LEAVES, grow, max_leaves=8)


@pytest.mark.parametrize(
    ("text", "canonical", "identity"),
    [
        ("", "all()", "s:5y5I3VdRZfDU01O--xXAPx2yxCQQqMf0M6IWug"),
        ("all()", "all()", "s:5y5I3VdRZfDU01O--xXAPx2yxCQQqMf0M6IWug"),
        ("a == 'b'", 'a == "b"', "s:flMh0m0X_BowkAK_W3j3MgH8oQOsj3WxGDoXCQ"),
        ("! (has( b)||! has(a ))", "!(has(b) || !has(a))", "s:Iss0uCleLYv1GSv_pNm7hAO58kE9jAx1NKyG3Q"),
    ],
)
def test_ids_are_those_that_calico_computes(text: str, canonical: str, identity: str) -> None:
    assert parse(text).canonical == canonical
    assert parse(text).id == identity


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ('a in {"z","z","x"}', 'a in {"x", "z"}'),
        ("a startswith 'q'", 'a starts with "q"'),
        ("a endswith\t'q'", 'a ends with "q"'),
        ("a notin{'x',}", 'a not in {"x"}'),
        ("a in {}", "a in {}"),
        ("a == 'say \"hi\"'", "a == 'say \"hi\"'"),
        ("!!!has(a)", "!has(a)"),
        ("!(!has(a))", "has(a)"),
        ("a=='1'&&b!='2'||has(c)", '((a == "1" && b != "2") || has(c))'),
        ("((a == '1'))", 'a == "1"'),
        ("has == 'x'", 'has == "x"'),
        ("all == 'x'", 'all == "x"'),
        ("!a == 'b'", '!a == "b"'),
        ("global()", "global()"),
    ],
)
def test_spellings_become_one(text: str, canonical: str) -> None:
    assert parse(text).canonical == canonical


@pytest.mark.parametrize(
    "text",
    [
        "a",
        "a ==",
        "a == b",
        "a == 'b",
        "has (a)",
        "has()",
        "a in {'x' 'y'}",
        "a in {,}",
        "a == 'b'\n",
        "a == 'b' &&",
        "(a == 'b'",
        "a == 'b')",
        "a ^ b",
        "\n",
        "k" * 513 + " == 'x'",
        "(" * 5000 + "has(a)" + ")" * 5000,
    ],
)
def test_what_is_no_selector_is_refused(text: str) -> None:
    with pytest.raises(Invalid, match="not valid"):
        parse(text)


def test_a_refusal_says_where() -> None:
    with pytest.raises(Invalid) as failed:
        parse("a == 'b' & has(c)", at="network.yaml document 2: spec.selector")
    assert "column 10" in str(failed.value)
    assert "network.yaml document 2: spec.selector" in str(failed.value)


@pytest.mark.parametrize(
    ("text", "labels", "expected"),
    [
        ("a == 'b'", {}, False),
        ("a != 'b'", {}, True),
        ("a in {'b'}", {}, False),
        ("a not in {'b'}", {}, True),
        ("a contains ''", {}, False),
        ("a starts with ''", {}, False),
        ("a ends with ''", {}, False),
        ("has(a)", {"a": ""}, True),
        ("!has(a)", {}, True),
        ("a contains 'b'", {"a": "abc"}, True),
        ("a starts with 'b'", {"a": "abc"}, False),
        ("a ends with 'c'", {"a": "abc"}, True),
        ("!a == 'b' && has(c)", {"c": ""}, True),
        ("a == 'x' || b == 'y' && c == 'z'", {"a": "x"}, True),
    ],
)
def test_absent_labels_fail_what_is_positive(text: str, labels: Mapping[str, str], expected: bool) -> None:  # noqa: FBT001
    assert parse(text).matches(labels) is expected


def test_namespace_selectors_speak_of_inherited_labels() -> None:
    assert of_namespaces(parse("env == 'p' || !has(x)")).canonical == '(pcns.env == "p" || !has(pcns.x))'
    assert of_namespaces(EVERYTHING).canonical == "has(projectcalico.org/namespace)"
    assert of_namespaces(parse("global()")).canonical == "!has(projectcalico.org/namespace)"
    assert of_service_accounts(parse("a in {'x'}")).canonical == 'pcsa.a in {"x"}'


def test_a_conjunction_leaves_out_what_selects_everything() -> None:
    assert both() == EVERYTHING
    assert both(EVERYTHING, equals("a", "b")).canonical == 'a == "b"'
    assert both(equals("a", "b"), equals("c", "d")).canonical == '(a == "b" && c == "d")'


@given(NODES)
def test_the_canonical_text_parses_to_the_same(node: Node) -> None:
    assert parse(Selector(node).canonical) == Selector(node)


@given(NODES, LABELS)
def test_negation_inverts(node: Node, labels: Mapping[str, str]) -> None:
    assert parse(f"!({node})").matches(labels) is not Selector(node).matches(labels)


@given(NODES, LABELS)
def test_what_is_selected_has_what_the_selector_needs(node: Node, labels: Mapping[str, str]) -> None:
    selector = Selector(node)
    need = selector.needs()
    if need is not None and selector.matches(labels):
        assert labels.get(need[0]) in need[1]


@given(st.text() | st.text("ab()!&|='\" {},hasinot", max_size=30))
def test_only_invalid_escapes_the_parser(text: str) -> None:
    try:
        parsed = parse(text)
    except Invalid:
        return
    assert parse(parsed.canonical) == parsed
