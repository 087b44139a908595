"""What a faster encoder writes is what Go's would: byte for byte the words of `compact`."""

from hypothesis import given
from hypothesis import strategies as st

from groundplane.pki.cfssl.errors import Plain
from groundplane.pki.cfssl.goencode import compact
from groundplane.pki.server import envelope
from groundplane.pki.server.model import Result

ODD = '<>&\\bf\b\f\u2028\u2029"/a\n\x00\x1f\x7fé'
TEXTS = st.text(st.characters(exclude_categories=["Cs"])) | st.text(ODD, max_size=9)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=9,
)


@given(value=VALUES)
def test_a_success_is_written_as_go_writes_it(value: object) -> None:
    whole = {"success": True, "result": value, "errors": [], "messages": []}
    assert envelope.success(Result(value=value)).body == f"{compact(whole)}\n".encode()


@given(text=TEXTS)
def test_a_failure_is_written_as_go_writes_it(text: str) -> None:
    whole = {"success": False, "result": None, "errors": [{"code": 0, "message": text}], "messages": []}
    assert envelope.failure(Plain(text)).body == f"{compact(whole)}\n".encode()
