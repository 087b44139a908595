import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundplane.errors import Invalid
from groundplane.oci.reference import parse_reference

DIGEST = "sha256:" + "a1" * 32
hosts = st.sampled_from(["docker.io", "localhost", "registry.test", "registry.test:5000", "[::1]:5000"])
paths = st.lists(st.from_regex(r"[a-z0-9]+(?:[._-][a-z0-9]+)?", fullmatch=True), min_size=1, max_size=4).map("/".join)
endings = st.one_of(
    st.from_regex(r":[A-Za-z0-9_][A-Za-z0-9._-]{0,20}", fullmatch=True), st.just("@" + DIGEST), st.just("")
)


@pytest.mark.parametrize(
    ("text", "whole"),
    [
        ("busybox", "docker.io/library/busybox:latest"),
        ("groundplane/lab", "docker.io/groundplane/lab:latest"),
        ("docker.io/busybox:1", "docker.io/library/busybox:1"),
        ("index.docker.io/busybox", "docker.io/library/busybox:latest"),
        ("localhost/a", "localhost/a:latest"),
        ("localhost:5000", "docker.io/library/localhost:5000"),
        ("registry.test:5000/a/b:T", "registry.test:5000/a/b:T"),
        (f"a@{DIGEST}", f"docker.io/library/a@{DIGEST}"),
        (f"a:tag@{DIGEST}", f"docker.io/library/a@{DIGEST}"),
        ("a--b/c__d", "docker.io/a--b/c__d:latest"),
    ],
)
def test_a_name_is_made_whole(text: str, whole: str) -> None:
    assert str(parse_reference(text)) == whole


@pytest.mark.parametrize(
    "text",
    ["", "/", "a/", "/a", "A", "a/B", "a:", "a@", "a@sha256:1", f"a@{DIGEST.upper()}", "a//b", "-a", "a b", "a:b:c"],
)
def test_what_is_no_name_is_refused(text: str) -> None:
    with pytest.raises(Invalid):
        parse_reference(text)


@pytest.mark.parametrize("text", ["a:" + "t" * 129, "../a", "a/..", "a\n", "a:b\n", "http://a/b", "a:b/c", "a" * 256])
def test_what_could_mislead_is_refused(text: str) -> None:
    with pytest.raises(Invalid):
        parse_reference(text)


@given(hosts, paths, endings)
def test_whole_and_familiar_forms_mean_what_was_said(host: str, path: str, ending: str) -> None:
    found = parse_reference(f"{host}/{path}{ending}")
    assert parse_reference(str(found)) == found
    assert parse_reference(found.familiar) == found
    assert len(found.familiar) <= len(str(found))


@given(st.text(alphabet=string.printable, max_size=60))
def test_any_text_is_a_name_or_invalid(text: str) -> None:
    try:
        found = parse_reference(text)
    except Invalid:
        return
    assert parse_reference(str(found)) == found
