import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundplane.cluster import yaml_tree
from groundplane.errors import Invalid


def field(text: str) -> yaml_tree.Field:
    (found,) = yaml_tree.documents(text.encode(), source="f.yaml")
    return found


def test_an_unknown_field_names_its_place_and_the_nearest_known_one() -> None:
    with pytest.raises(Invalid, match=r"f\.yaml:2:7: hots: unknown field; did you mean 'hosts'\?"):
        field("a: 1\nhots: 2\n").mapping(required=("a",), optional=("hosts",))


def test_a_field_given_twice_is_refused() -> None:
    with pytest.raises(Invalid, match=r"f\.yaml:2:1: a: given twice"):
        field("a: 1\na: 2\n").mapping(required=("a",))


def test_a_missing_field_is_named() -> None:
    with pytest.raises(Invalid, match="the field 'b' is missing"):
        field("a: 1\n").mapping(required=("a", "b"))


def test_broken_yaml_names_line_and_column() -> None:
    with pytest.raises(Invalid, match=r"f\.yaml:2:\d+: is not YAML"):
        yaml_tree.documents(b"a: [1\nb: }\n", source="f.yaml")


@given(st.binary(max_size=200))
def test_only_invalid_escapes_the_reader(data: bytes) -> None:
    try:
        for found in yaml_tree.documents(data, source="f"):
            found.plain()
    except Invalid:
        pass  # the one error that it may raise
