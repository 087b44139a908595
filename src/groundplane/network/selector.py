"""Label selectors, as Calico writes them: a text becomes a tree, which answers whether it matches some labels.

Grammar, loosest first: `||`, `&&`, `!`, then one operation or a parenthesis. `!` binds to exactly the next operation.
Where a label is absent, `==`, `in`, `contains`, `starts with`, `ends with` and `has` are false; `!=`, `not in` true.
White space is space and tab. Strings are quoted with `'` or `"` and know no escapes. The empty text selects all.

`canonical` is one text per meaning-preserving spelling; `Selector.id` is Calico's digest of it, by which sets are
named, so that a set keeps its name on every host and over every restart.
"""

import base64
import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import Enum
from functools import lru_cache

from groundplane.errors import Invalid

NAMESPACE_PREFIX = "pcns."
"""What a label inherited from a namespace begins with; a `namespaceSelector` speaks of these."""

SERVICE_ACCOUNT_PREFIX = "pcsa."
"""Likewise for service accounts."""

NAMESPACE = "projectcalico.org/namespace"
ORCHESTRATOR = "projectcalico.org/orchestrator"
SERVICE_ACCOUNT = "projectcalico.org/serviceaccount"

_MAX_KEY = 512
_MAX_DEPTH = 64  # real selectors nest three or four deep; this keeps a hostile one off the interpreter's stack
_BLANK = " \t"


class Operator(Enum):
    """What is asked of one label."""

    HAS = "has"
    EQUALS = "=="
    DIFFERS = "!="
    IN = "in"
    NOT_IN = "not in"
    CONTAINS = "contains"
    STARTS_WITH = "starts with"
    ENDS_WITH = "ends with"


_TESTS: Mapping[Operator, Callable[[str | None, tuple[str, ...]], bool]] = {
    Operator.HAS: lambda value, _: value is not None,
    Operator.EQUALS: lambda value, wanted: value == wanted[0],
    Operator.DIFFERS: lambda value, wanted: value != wanted[0],
    Operator.IN: lambda value, wanted: value in wanted,
    Operator.NOT_IN: lambda value, wanted: value not in wanted,
    Operator.CONTAINS: lambda value, wanted: value is not None and wanted[0] in value,
    Operator.STARTS_WITH: lambda value, wanted: value is not None and value.startswith(wanted[0]),
    Operator.ENDS_WITH: lambda value, wanted: value is not None and value.endswith(wanted[0]),
}


@dataclass(frozen=True, slots=True)
class All:
    """`all()`, and the empty text."""

    def matches(self, labels: Mapping[str, str]) -> bool:  # noqa: ARG002 - the nodes share one shape
        """Answer yes."""
        return True

    def __str__(self) -> str:
        return "all()"


@dataclass(frozen=True, slots=True)
class Global:
    """`global()`: in a namespaceSelector, what is in no namespace; true wherever it is evaluated as it stands."""

    def matches(self, labels: Mapping[str, str]) -> bool:  # noqa: ARG002 - the nodes share one shape
        """Answer yes."""
        return True

    def __str__(self) -> str:
        return "global()"


@dataclass(frozen=True, slots=True)
class Label:
    """One operation. `values`: none for HAS, one for most, sorted and distinct for IN and NOT_IN."""

    key: str
    operator: Operator
    values: tuple[str, ...] = ()

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether these labels satisfy the operation."""
        return _TESTS[self.operator](labels.get(self.key), self.values)

    def __str__(self) -> str:
        match self.operator:
            case Operator.HAS:
                return f"has({self.key})"
            case Operator.IN | Operator.NOT_IN:
                return f"{self.key} {self.operator.value} {{{', '.join(map(_quoted, self.values))}}}"
            case _:
                return f"{self.key} {self.operator.value} {_quoted(self.values[0])}"


@dataclass(frozen=True, slots=True)
class Not:
    """The contrary of one node."""

    node: "Node"

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether the inner node does not."""
        return not self.node.matches(labels)

    def __str__(self) -> str:
        return f"!{self.node}"


@dataclass(frozen=True, slots=True)
class And:
    """All of two or more."""

    nodes: tuple["Node", ...]

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether all do."""
        return all(node.matches(labels) for node in self.nodes)

    def __str__(self) -> str:
        return f"({' && '.join(map(str, self.nodes))})"


@dataclass(frozen=True, slots=True)
class Or:
    """Any of two or more."""

    nodes: tuple["Node", ...]

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether one does."""
        return any(node.matches(labels) for node in self.nodes)

    def __str__(self) -> str:
        return f"({' || '.join(map(str, self.nodes))})"


Node = All | Global | Label | Not | And | Or


@dataclass(frozen=True, slots=True)
class Selector:
    """A parsed selector. Equal selectors have equal canonical texts and ids."""

    node: Node

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether something with these labels is selected."""
        return self.node.matches(labels)

    @property
    def canonical(self) -> str:
        """Its one spelling: parsing it gives an equal selector."""
        return str(self.node)

    @property
    def id(self) -> str:
        """`s:` and 38 characters, Calico's digest of the canonical text."""
        return digest("s:", self.canonical)

    def needs(self) -> tuple[str, tuple[str, ...]] | None:
        """Name a label, and the values of which it must have one, if the selector implies that: an index can use it."""
        return _needs(self.node)


EVERYTHING = Selector(All())


def digest(prefix: str, text: str) -> str:
    """Calico's identifier of a text: the prefix, then URL-safe base64 without padding of SHA-224 of both."""
    raw = hashlib.sha224(f"{prefix}{text}".encode()).digest()
    return prefix + base64.urlsafe_b64encode(raw).decode().rstrip("=")


def parse(text: str, *, at: str = "selector") -> Selector:
    """Refuses what is not a selector, saying at which column; nothing but `Invalid` is raised."""
    found = _parsed(text)
    if isinstance(found, Selector):
        return found
    column, expected = found
    where = f"at column {column + 1} of {text!r}" if text else "in the empty text"
    raise Invalid(
        f"the selector is not valid {where}: {expected}", to=at, hint="for example: app == 'web' && !has(old)"
    )


def both(*selectors: Selector) -> Selector:
    """Select what all of them select. Those that select everything are left out."""
    nodes = [each.node for each in selectors if each.node != All()]
    if not nodes:
        return EVERYTHING
    return Selector(nodes[0] if len(nodes) == 1 else And(tuple(nodes)))


def equals(key: str, value: str) -> Selector:
    """`key == "value"`."""
    return Selector(Label(key, Operator.EQUALS, (value,)))


def one_of(key: str, values: tuple[str, ...]) -> Selector:
    """`key in {…}`."""
    return Selector(Label(key, Operator.IN, tuple(sorted(set(values)))))


def of_namespaces(selector: Selector) -> Selector:
    """Turn a `namespaceSelector` into a selector of endpoints, by labels that they inherit from their namespace."""
    match selector.node:
        case All():
            return Selector(Label(NAMESPACE, Operator.HAS))
        case Global():
            return Selector(Not(Label(NAMESPACE, Operator.HAS)))
        case node:
            return Selector(_prefixed(node, NAMESPACE_PREFIX))


def of_service_accounts(selector: Selector) -> Selector:
    """Turn a `serviceAccountSelector` into a selector of endpoints."""
    return Selector(_prefixed(selector.node, SERVICE_ACCOUNT_PREFIX))


def _prefixed(node: Node, prefix: str) -> Node:
    match node:
        case Label(key=key):
            return replace(node, key=prefix + key)
        case Not(inner):
            return Not(_prefixed(inner, prefix))
        case And(nodes):
            return And(tuple(_prefixed(each, prefix) for each in nodes))
        case Or(nodes):
            return Or(tuple(_prefixed(each, prefix) for each in nodes))
        case All() | Global():
            return node


def _needs(node: Node) -> tuple[str, tuple[str, ...]] | None:
    match node:
        case Label(key, Operator.EQUALS | Operator.IN, values):
            return key, values
        case And(nodes):
            found = [need for each in nodes if (need := _needs(each)) is not None]
            # A namespace is shared by many; any other label tells more.
            return min(found, key=lambda need: (need[0] == NAMESPACE, len(need[1])), default=None)
        case _:
            return None


def _quoted(value: str) -> str:
    return f"'{value}'" if '"' in value else f'"{value}"'


class _SyntaxError(Exception):
    def __init__(self, column: int, expected: str) -> None:
        super().__init__(expected)
        self.column = column
        self.expected = expected


@lru_cache(maxsize=8192)
def _parsed(text: str) -> Selector | tuple[int, str]:
    """Remembered, failures too: every recomputation meets the same texts again."""
    try:
        return Selector(_Parser(text).whole())
    except _SyntaxError as failed:
        return failed.column, failed.expected


_KEY = re.compile(r"[A-Za-z0-9_./-]+")
_NOTHING = re.compile(r"(all|global)\([ \t]*\)")
_HAS = re.compile(r"has\([ \t]*([A-Za-z0-9_./-]+)[ \t]*\)")
_OPERATIONS: tuple[tuple[re.Pattern[str], Operator], ...] = (
    (re.compile(r"=="), Operator.EQUALS),
    (re.compile(r"!="), Operator.DIFFERS),
    (re.compile(r"in(?=[ \t]*\{)"), Operator.IN),
    (re.compile(r"not[ \t]*in(?=[ \t]*\{)"), Operator.NOT_IN),
    (re.compile(r"contains"), Operator.CONTAINS),
    (re.compile(r"starts[ \t]*with"), Operator.STARTS_WITH),
    (re.compile(r"ends[ \t]*with"), Operator.ENDS_WITH),
)


class _Parser:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.depth = 0

    def whole(self) -> Node:
        self.blank()
        if self.at == len(self.text):
            return All()
        node = self.alternatives()
        if self.at < len(self.text):
            raise _SyntaxError(self.at, "expected &&, || or the end")
        return node

    def blank(self) -> None:
        while self.at < len(self.text) and self.text[self.at] in _BLANK:
            self.at += 1

    def take(self, token: str) -> bool:
        if not self.text.startswith(token, self.at):
            return False
        self.at += len(token)
        self.blank()
        return True

    def find(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        found = pattern.match(self.text, self.at)
        if found:
            self.at = found.end()
            self.blank()
        return found

    def alternatives(self) -> Node:
        nodes = [self.conjunction()]
        while self.take("||"):
            nodes.append(self.conjunction())
        return nodes[0] if len(nodes) == 1 else Or(tuple(nodes))

    def conjunction(self) -> Node:
        nodes = [self.operation()]
        while self.take("&&"):
            nodes.append(self.operation())
        return nodes[0] if len(nodes) == 1 else And(tuple(nodes))

    def operation(self) -> Node:
        negate = False
        while self.take("!"):
            negate = not negate
        node = self.positive()
        if not negate:
            return node
        return node.node if isinstance(node, Not) else Not(node)  # two negations cancel, a parenthesis between or not

    def positive(self) -> Node:
        if self.take("("):
            self.depth += 1
            if self.depth > _MAX_DEPTH:
                raise _SyntaxError(self.at, f"more than {_MAX_DEPTH} parentheses deep")
            node = self.alternatives()
            if not self.take(")"):
                raise _SyntaxError(self.at, "expected ) or an operator")
            self.depth -= 1
            return node
        if found := self.find(_NOTHING):
            return All() if found[1] == "all" else Global()
        start = self.at
        if found := self.find(_HAS):
            return Label(self.key(found[1], start), Operator.HAS)
        if not (found := self.find(_KEY)):
            raise _SyntaxError(self.at, "expected a label, has(…), all(), ! or (")
        return self.comparison(self.key(found[0], start))

    @staticmethod
    def key(key: str, start: int) -> str:
        if len(key) > _MAX_KEY:
            raise _SyntaxError(start, f"a label of more than {_MAX_KEY} characters")
        return key

    def comparison(self, key: str) -> Node:
        for pattern, operator in _OPERATIONS:
            if not self.find(pattern):
                continue
            if operator in (Operator.IN, Operator.NOT_IN):
                return Label(key, operator, self.members())
            return Label(key, operator, (self.string(),))
        raise _SyntaxError(self.at, "expected ==, !=, in, not in, contains, starts with or ends with")

    def members(self) -> tuple[str, ...]:
        self.take("{")
        found: set[str] = set()
        while not self.take("}"):
            found.add(self.string())
            if not self.take(","):
                if not self.take("}"):
                    raise _SyntaxError(self.at, "expected , or }")
                break
        return tuple(sorted(found))

    def string(self) -> str:
        quote = self.text[self.at : self.at + 1]
        if quote not in ("'", '"'):
            raise _SyntaxError(self.at, "expected a quoted string")
        end = self.text.find(quote, self.at + 1)
        if end < 0:
            raise _SyntaxError(self.at, "this string does not end")
        value = self.text[self.at + 1 : end]
        self.at = end + 1
        self.blank()
        return value
