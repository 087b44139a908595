import re
import time
import warnings

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from groundplane.pki.scan.families import FAMILIES
from groundplane.pki.scan.pattern import BadPattern, Pattern

NAMES = [*FAMILIES, *(name for family in FAMILIES.values() for name in family.scanners), "", "TLS-1 3_x"]
# What RE2 and Python read alike.
ATOMS = [
    *("C", "i", "T", "L", "S", ".", "[A-C]", "[^a-z]", r"\d", r"\w", r"\S", "^", "$", "(a|S)", "(?:TL|Ci)", "x*"),
    *("S+", "e?", "(S.)*", "g{1,2}", "(?i:cert)", r"\bT", r"\BL", "l{0}", r"\x53", "|", r"\.", "e+?", "{", "a{,2"),
]


@given(st.lists(st.sampled_from(ATOMS), max_size=6).map("".join))
@settings(max_examples=300, deadline=None)
def test_it_finds_what_python_finds(text: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        wanted = re.compile(text)
    found = Pattern(text)
    assert [found(name) for name in NAMES] == [wanted.search(name) is not None for name in NAMES]


@pytest.mark.parametrize(
    ("text", "said"),
    [  # as Go's regexp.Compile says it
        ("(", "missing closing ): `(`"),
        (")", "unexpected ): `)`"),
        ("[a", "missing closing ]: `[a`"),
        ("[z-a]", "invalid character class range: `z-a`"),
        ("*", "missing argument to repetition operator: `*`"),
        ("a**", "invalid nested repetition operator: `**`"),
        ("a{1001}", "invalid repeat count: `{1001}`"),
        ("a{2,1}", "invalid repeat count: `{2,1}`"),
        ("\\", "trailing backslash at end of expression: ``"),
        (r"\1", r"invalid escape sequence: `\1`"),
        ("(?i", "invalid or unsupported Perl syntax: `(?i`"),
        ("(?P<>a)", "invalid named capture: `(?P<>`"),
        ("a\udcff", "invalid UTF-8: `a\udcff`"),
        ("(?=a)", "invalid or unsupported Perl syntax: `(?=`"),
        ("[[:nothing:]]", "invalid character class range: `[:nothing:]`"),
    ],
)
def test_what_is_no_pattern_is_refused_in_gos_words(text: str, said: str) -> None:
    with pytest.raises(BadPattern) as refused:
        Pattern(text)
    assert refused.value.happened == f"error parsing regexp: {said}"


@given(st.text(alphabet=st.sampled_from("()[]{}*+?|\\^$.-,:<>P=!imsUAzbBQEdDwWxX0123789a\nZé"), max_size=30))
@settings(max_examples=500, deadline=None)
def test_any_text_is_a_pattern_or_refused(text: str) -> None:
    try:
        Pattern(text)("CipherSuite")
    except BadPattern:
        pass  # the other thing that may happen


@pytest.mark.parametrize(
    "text",
    ["(a*)*" * 30 + "b", "(a|a|a)*" * 40 + "$b", "((((a{30}){30})))b", "(?:(?:a?){100}){50}", "(" * 90 + ")" * 90],
)
def test_no_pattern_takes_long(text: str) -> None:
    begun = time.process_time()
    try:
        Pattern(text)("a" * 60)
    except BadPattern:
        pass  # too large, and said so
    assert time.process_time() - begun < 2


@pytest.mark.parametrize("text", ["((((a{1000}){1000})){1000})", "(" * 5000 + ")" * 5000, "a" * 100_000])
def test_a_pattern_that_would_take_much_memory_is_refused(text: str) -> None:
    begun = time.process_time()
    with pytest.raises(BadPattern):
        Pattern(text)
    assert time.process_time() - begun < 2
