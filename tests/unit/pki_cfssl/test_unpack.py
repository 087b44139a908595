import pytest

from groundplane.pki.cfssl.errors import Plain
from groundplane.pki.cfssl.unpack import path_of, unpack


def test_the_files_of_a_new_certificate_are_those_that_scripts_expect() -> None:
    outputs = unpack(b'{"key":"K","csr":"R","cert":"C"}', bare=True)
    assert [(str(path_of("etcd", it)), it.content, it.mode) for it in outputs] == [
        ("etcd.pem", b"C", 0o664),
        ("etcd-key.pem", b"K", 0o600),
        ("etcd.csr", b"R", 0o644),
    ]


def test_an_envelope_that_failed_says_why() -> None:
    with pytest.raises(Plain) as failed:
        unpack(b'{"success":false,"errors":[{"code":1,"message":"no"}]}', bare=False)
    assert str(failed.value) == "Request failed:\n\tno"


def test_bare_output_read_as_an_envelope_has_failed_without_a_reason() -> None:
    with pytest.raises(Plain, match=r"^Request failed:$"):
        unpack(b'{"cert":"C"}', bare=False)


def test_what_is_no_text_is_refused_and_nothing_is_lost_silently() -> None:
    with pytest.raises(Plain, match="cert is not a string"):
        unpack(b'{"cert":5}', bare=True)


def test_an_ocsp_response_is_decoded_for_its_file_and_not_for_the_screen() -> None:
    (output,) = unpack(b'{"ocspResponse":"QUJD"}', bare=True)
    assert (output.suffix, output.content, output.shown) == ("-response.der", b"ABC", b"QUJD")


def test_a_bundle_with_its_root_makes_a_chain_and_a_root() -> None:
    outputs = unpack(b'{"result":{"bundle":{"bundle":"B","root":"R"}}}', bare=True)
    assert [(it.suffix, it.content) for it in outputs] == [("-bundle.pem", b"B\nR"), ("-root.pem", b"R")]
