"""Keys in every form come back as they were; wrong passwords, damage and clobbering are refused."""

import contextlib
import io
import json
import stat
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, pkcs7
from hypothesis import given
from hypothesis import strategies as st

from groundplane.cli.main import main
from groundplane.cli.pki.convert import FORMS
from groundplane.errors import Invalid
from groundplane.pki import Authority, der, parse_policy, parse_request
from groundplane.pki.keys import PrivateKey, dump_key, generate, load_key
from groundplane.pki.keystore import cost, jks, pkcs12
from groundplane.pki.keystore.anything import gather
from groundplane.pki.keystore.bundle import Contents, arranged
from groundplane.pki.keystore.password import read_password
from groundplane.pki.keystore.private import KeyFormat, read_key, write_key
from groundplane.pki.keystore.uri import KeyURI, parse_uri
from groundplane.pki.model import P256, KeyAlgorithm, KeySpec
from groundplane.pki.seen import load_certificate

NOW = datetime.now(UTC).replace(microsecond=0)
SECRET = b"correct horse"
SPECS = [
    P256,
    KeySpec(algorithm=KeyAlgorithm.RSA, size=2048),
    KeySpec(algorithm=KeyAlgorithm.ED25519, size=256),
    KeySpec(algorithm=KeyAlgorithm.ML_DSA, size=44),
]


@pytest.fixture(scope="module")
def contents() -> Contents:
    """A leaf's key, its certificate and its root's."""
    authority, _ = Authority.create_root(parse_request(b'{"CN":"root"}', source="ca"), now=NOW)
    policy = parse_policy(b'{"signing":{"default":{"expiry":"24h","usages":["server auth"]}}}', source="policy")
    made = authority.issue(parse_request(b'{"CN":"leaf"}', source="leaf"), policy.profile(""), now=NOW)
    leaf = load_certificate(made.certificate_pem, source="leaf")
    return Contents(key=load_key(made.key_pem, source="key"), chain=(leaf, authority.certificate))


def key_of(it: Contents) -> bytes:
    assert it.key is not None
    return dump_key(it.key)


@pytest.mark.parametrize("spec", SPECS, ids=str)
@pytest.mark.parametrize("wanted", list(KeyFormat))
def test_a_key_comes_back_from_every_form(spec: KeySpec, wanted: KeyFormat) -> None:
    key = generate(spec)
    data = write_key(key, wanted, password=SECRET)
    is_locked = wanted in {KeyFormat.ENCRYPTED, KeyFormat.SCRYPT}
    password = SECRET if is_locked else None
    assert dump_key(read_key(data, source="key", password=password)) == dump_key(key)
    assert (b"ENCRYPTED" in data) is is_locked


def test_an_encrypted_key_needs_its_password() -> None:
    data = write_key(generate(P256), KeyFormat.ENCRYPTED, password=SECRET)
    with pytest.raises(Invalid, match="encrypted"):
        read_key(data, source="key")
    with pytest.raises(Invalid, match="password is wrong"):
        read_key(data, source="key", password=b"other")
    with pytest.raises(Invalid, match="encrypted with what"):
        write_key(generate(P256), KeyFormat.ENCRYPTED)
    plain = write_key(generate(P256), KeyFormat.PKCS8)
    assert read_key(plain, source="key", password=SECRET)  # a password too many does no harm


def test_stores_hold_key_and_chain(contents: Contents) -> None:
    for data, read in (
        (pkcs12.write(contents, password=SECRET, alias="Web"), pkcs12.read),
        (pkcs12.write(contents, password=SECRET, alias="Web", legacy=True), pkcs12.read),
        (jks.write(contents, password=SECRET, alias="Web", now=NOW), jks.read),
    ):
        found = read(data, password=SECRET, source="store")
        assert (key_of(found), found.chain) == (key_of(contents), contents.chain)
        assert found.alias.lower() == "web"
        with pytest.raises(Invalid, match="password is wrong"):
            read(data, password=b"other", source="store")
        with pytest.raises(Invalid):
            read(data[:-1] + bytes([data[-1] ^ 1]), password=SECRET, source="store")


def test_keys_are_found_under_either_name_of_java_s_protection(
    contents: Contents, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Java wrote an explicit NULL after the algorithm, until its updates of 2026."""
    monkeypatch.setattr(jks, "_NULL", b"")
    without = jks.write(contents, password=SECRET, alias="Web", now=NOW)
    monkeypatch.undo()
    assert key_of(jks.read(without, password=SECRET, source="store")) == key_of(contents)
    other = jks.write(contents, password=SECRET, alias="Web", now=NOW).replace(
        jks._PROTECTOR, jks._PROTECTOR[:-1] + b"\2"
    )
    other = other[:-20] + jks._seal(jks._characters(SECRET), other[:-20])
    with pytest.raises(Invalid, match="not JKS's"):
        jks.read(other, password=SECRET, source="store")


def test_certificates_alone_make_a_trust_store(contents: Contents) -> None:
    trusted = Contents(trusted=contents.chain)
    for data, read in (
        (pkcs12.write(trusted, password=SECRET, alias="ca"), pkcs12.read),
        (jks.write(trusted, password=SECRET, alias="ca", now=NOW), jks.read),
    ):
        found = read(data, password=SECRET, source="store")
        assert found.key is None
        assert set(found.trusted) == set(contents.chain)


@given(st.binary(max_size=300))
def test_no_bytes_break_a_store(data: bytes) -> None:
    for start in (b"", jks.MAGIC, jks.MAGIC + b"\0\0\0\2\0\0\0\1\0\0\0\1"):
        body = start + data
        sealed = body + jks._seal(jks._characters(b"x"), body)  # past the first check
        for whole in (body, sealed):
            try:
                jks.load(whole, password=b"x", source="store")
            except Invalid:
                pass  # the usual answer; an empty store is one too
        with pytest.raises(Invalid):
            pkcs12.read(body, password=b"x", source="store")


def test_a_key_is_put_before_its_chain_whatever_the_order(contents: Contents) -> None:
    other, _ = Authority.create_root(parse_request(b'{"CN":"other"}', source="ca"), now=NOW)
    found = arranged(contents.key, [other.certificate, *reversed(contents.chain)], source="x")
    assert (found.chain, found.trusted) == (contents.chain, (other.certificate,))
    with pytest.raises(Invalid, match="none of the certificates"):
        arranged(contents.key, [other.certificate], source="x")


def test_files_are_understood_without_being_told_their_form(contents: Contents) -> None:
    key, chain = key_of(contents), list(contents.chain)
    pem = b"".join(one.public_bytes(Encoding.PEM) for one in chain)
    for files in (
        [("pem", pem), ("key", key)],
        [("both", key + pem)],
        [("p7", pkcs7.serialize_certificates(chain, Encoding.DER)), ("key", key)],
        [("p7", pkcs7.serialize_certificates(chain, Encoding.PEM)), ("key", key)],
        [("der", chain[0].public_bytes(Encoding.DER)), ("ca", chain[1].public_bytes(Encoding.DER)), ("key", key)],
        [("pem", pem), ("key", write_key(load_key(key, source="k"), KeyFormat.DER))],
        [("p12", pkcs12.write(contents, password=SECRET, alias="a"))],
        [("jks", jks.write(contents, password=SECRET, alias="a", now=NOW))],
    ):
        found = gather(files, password=SECRET)
        assert (key_of(found), found.chain) == (key, contents.chain)
    for bad, words in (
        ([("p12", pkcs12.write(contents, password=SECRET, alias="a"))], "needs a password"),
        ([("a", key), ("b", key)], "two keys"),
        ([("a", b"-----BEGIN NOTHING-----\n-----END NOTHING-----")], "neither a key"),
    ):
        with pytest.raises(Invalid, match=words):
            gather(bad, password=None)


def test_passwords_come_from_files_and_variables_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "password"
    path.write_bytes(SECRET + b"\n")
    path.chmod(0o600)
    assert read_password(f"file:{path}", what="x") == SECRET
    monkeypatch.setenv("SECRET", "abc")
    assert read_password("env:SECRET", what="x") == b"abc"
    path.chmod(0o644)
    monkeypatch.setattr("sys.stdin", io.StringIO())
    for source, words in (
        (f"file:{path}", "others can read"),
        ("file:/no/such", "cannot be read"),
        ("env:NOT_SET", "not set"),
        ("hunter2", "does not belong on the command line"),
        ("ask", "no terminal"),
    ):
        with pytest.raises(Invalid, match=words) as raised:
            read_password(source, what="x")
        assert "hunter2" not in str(raised.value)


def test_token_uris() -> None:
    text = "pkcs11:token=my%20ca;object=root;id=%01%ff?module-path=/lib/x.so&pin-source=file:pin"
    assert parse_uri(text) == KeyURI(
        token="my ca", label="root", key_id=b"\x01\xff", module="/lib/x.so", pin_source="file:pin"
    )
    for bad, words in (
        ("pkcs11:object=a", "which token"),
        ("pkcs11:token=a", "which key"),
        ("pkcs11:token=a;object=b?pin-value=1234", "PIN does not belong"),
        ("pkcs11:token=a;object=b;objct=c", "not known"),
        ("pkcs11:token=a;token=b;object=c", "given twice"),
        ("pkcs11:token=a;object", "has no value"),
        ("pkcs11:token=%ff;object=a", "not UTF-8"),
        ("pkcs11:slot-id=x;object=a", "no number"),
        ("pkcs11:token=a;object=b;type=data", "only keys"),
    ):
        with pytest.raises(Invalid, match=words) as raised:
            parse_uri(bad)
        assert "1234" not in str(raised.value)


@given(st.text(max_size=60))
def test_no_uri_breaks_it(text: str) -> None:
    try:
        parse_uri(f"pkcs11:{text}")
    except Invalid:
        pass  # the usual answer


def test_convert_never_clobbers_and_keeps_secrets_private(
    contents: Contents, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "key.pem").write_bytes(key_of(contents))
    (tmp_path / "chain.pem").write_bytes(b"".join(one.public_bytes(Encoding.PEM) for one in contents.chain))
    (tmp_path / "secret").write_bytes(SECRET)
    (tmp_path / "secret").chmod(0o600)
    both = [str(tmp_path / "key.pem"), str(tmp_path / "chain.pem")]
    secret = ["--password", f"file:{tmp_path / 'secret'}"]
    for form in set(FORMS) - {"der"}:
        out = tmp_path / f"out.{form}"
        words = ["pki", "convert", *both, "--to", form, "--out", str(out)]
        if form in {"pkcs8-encrypted", "pkcs8-scrypt", "pkcs12", "pkcs12-legacy", "jks"}:
            words += secret
        else:
            assert main([*words, *secret]) == 3
            assert "--password: it has no effect" in capsys.readouterr().err
            assert not out.exists()
        assert main(words) == 0
        mode = 0o644 if form in {"pem", "pkcs7"} else 0o600
        assert stat.S_IMODE(out.stat().st_mode) == mode
        assert main(words) == 9
    der = str(tmp_path / "out.der")
    assert main(["pki", "convert", str(tmp_path / "chain.pem"), "--to", "der", "--out", der]) == 3
    assert main(["pki", "convert", str(tmp_path / "chain.pem"), "--to", "pkcs8", "--out", der]) == 3
    assert main(["pki", "convert", *both, "--to", "jks", "--out", der]) == 3
    assert "needs a password" in capsys.readouterr().err


def test_gencert_writes_and_reads_keys_in_every_form(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("ca.json").write_text('{"CN":"root"}')
    Path("leaf.json").write_text('{"CN":"leaf","hosts":["a.com"]}')
    Path("policy.json").write_text(json.dumps({"signing": {"default": {"expiry": "9h", "usages": ["server auth"]}}}))
    Path("secret").write_bytes(SECRET)
    Path("secret").chmod(0o600)
    locked = ["--key-format", "pkcs8-encrypted", "--key-password", "file:secret"]
    assert main(["pki", "gencert", "--initca", "ca.json", "--out", "ca", *locked]) == 0
    assert b"ENCRYPTED" in Path("ca-key.pem").read_bytes()
    by = ["--ca", "ca.pem", "--ca-key", "ca-key.pem", "--config", "policy.json"]
    assert main(["pki", "gencert", *by, "leaf.json", "--out", "leaf"]) == 3
    by += ["--ca-password", "file:secret"]
    assert main(["pki", "gencert", *by, "leaf.json", "--out", "leaf", "--key-format", "pkcs8"]) == 0
    assert Path("leaf-key.pem").read_bytes().startswith(b"-----BEGIN PRIVATE KEY-----")
    before = Path("leaf-key.pem").read_bytes()
    assert main(["pki", "gencert", *by, "leaf.json", "--out", "leaf"]) == 9
    assert Path("leaf-key.pem").read_bytes() == before
    again = ["pki", "gencert", *by, "leaf.json", "--key", "leaf-key.pem", "--out", "leaf", "--force"]
    assert main(again) == 0
    assert Path("leaf-key.pem").read_bytes() == before
    key: PrivateKey = load_key(before, source="key")
    certificate = x509.load_pem_x509_certificate(Path("leaf.pem").read_bytes())
    assert certificate.public_key() == key.public_key()


def test_sign_takes_requests_strictly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from groundplane.pki.csr import make_csr
    from groundplane.pki.name import AlternativeNames, Subject

    monkeypatch.chdir(tmp_path)
    Path("ca.json").write_text('{"CN":"root","ca":{"expiry":"48h"}}')
    Path("policy.json").write_text(json.dumps({"signing": {"default": {"expiry": "900h", "usages": ["server auth"]}}}))
    assert main(["pki", "gencert", "--initca", "ca.json", "--out", "ca"]) == 0
    csr = make_csr(generate(P256), subject=Subject(), names=AlternativeNames(dns=("a.com",)))
    Path("r.csr").write_bytes(csr)
    words = ["pki", "sign", "r.csr", "--ca", "ca.pem", "--ca-key", "ca-key.pem", "--config", "policy.json"]
    assert main([*words, "--out", "r"]) == 0
    made, ca = (x509.load_pem_x509_certificate(Path(name).read_bytes()) for name in ("r.pem", "ca.pem"))
    assert made.not_valid_after_utc == ca.not_valid_after_utc
    assert main([*words, "--out", "r"]) == 9
    assert main([*words, "--profile", "bogus"]) == 3
    Path("r.csr").write_text("nothing")
    assert main(words) == 3
    profile = {"expiry": "1h", "usages": ["server auth"], "remote": "r"}
    Path("policy.json").write_text(json.dumps({"signing": {"default": profile}, "remotes": {"r": "h.example"}}))
    Path("r.csr").write_bytes(csr)
    assert main(words) == 3  # not signed here: another would have to


def test_stores_refuse_what_they_cannot_hold(contents: Contents) -> None:
    for alias in ("", "a" * 256, "\udcff", "\0", "\U0001f511"):
        with pytest.raises(Invalid, match="alias"):
            jks.write(contents, password=SECRET, alias=alias, now=NOW)
        with pytest.raises(Invalid, match="alias"):
            pkcs12.write(contents, password=SECRET, alias=alias)
    alone = Contents(key=contents.key)
    with pytest.raises(Invalid, match="certificate too"):
        jks.write(alone, password=SECRET, alias="a", now=NOW)
    with pytest.raises(Invalid, match="certificate too"):
        pkcs12.write(alone, password=SECRET, alias="a")


def test_a_file_that_would_take_hours_is_refused_unread(contents: Contents, monkeypatch: pytest.MonkeyPatch) -> None:
    assert contents.key is not None
    locked = [write_key(contents.key, form, password=SECRET) for form in (KeyFormat.ENCRYPTED, KeyFormat.SCRYPT)]
    stores = [pkcs12.write(contents, password=SECRET, alias="a", legacy=legacy) for legacy in (False, True)]
    assert pkcs12.read(stores[0], password=SECRET, source="s").key is not None
    monkeypatch.setattr(cost, "_MOST_ROUNDS", 2000)
    for data in locked:
        with pytest.raises(Invalid, match="hours"):
            read_key(data, source="key", password=SECRET)
    for data in stores:
        with pytest.raises(Invalid, match="hours"):
            pkcs12.read(data, password=SECRET, source="store")
    monkeypatch.setattr(cost, "_MOST_ROUNDS", 10**9)
    monkeypatch.setattr(cost, "_MOST_MEMORY", 10**6)
    with pytest.raises(Invalid, match="memory"):
        read_key(locked[1], source="key", password=SECRET)


def test_rounds_are_found_in_indefinite_lengths_too() -> None:
    numbers = der.wrap(der.OCTET_STRING, b"salt") + der.integer(2**31)
    whole = der.wrap(der.SEQUENCE, numbers)
    pieces = b"\x24\x80" + der.wrap(der.OCTET_STRING, whole[:3]) + der.wrap(der.OCTET_STRING, whole[3:]) + b"\0\0"
    for data in (whole, b"\x30\x80" + numbers + b"\0\0", b"\x30\x80\xa0\x80" + pieces + b"\0\0\0\0"):
        for before in (b"", b"\x7f\x81\x01\x80" + b"\x30\x80" * 30 + b"\0\0" * 31):
            with pytest.raises(Invalid, match="hours"):
                cost.refuse_costly(before + data, source="x")


@given(st.binary(max_size=200), st.integers(0, 40))
def test_no_bytes_break_the_look_at_rounds(data: bytes, depth: int) -> None:
    with contextlib.suppress(Invalid):
        cost.refuse_costly(b"\x30\x80" * depth + data, source="x")


def test_gencsr_makes_requests_with_new_and_old_keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("r.yaml").write_text("CN: r\nhosts: [a.com, 10.0.0.1]\nca: {pathlen: 1}\nkey: {algo: ecdsa, size: 384}\n")
    assert main(["pki", "gencsr", "r.yaml", "--out", "r"]) == 0
    assert stat.S_IMODE(Path("r-key.pem").stat().st_mode) == 0o600
    request = x509.load_pem_x509_csr(Path("r.csr").read_bytes())
    assert request.is_signature_valid
    assert request.extensions.get_extension_for_class(x509.BasicConstraints).value.path_length == 1
    before = Path("r-key.pem").read_bytes()
    assert main(["pki", "gencsr", "r.yaml", "--out", "r"]) == 9
    assert main(["pki", "gencsr", "r.yaml", "--out", "again", "--key", "r-key.pem"]) == 0
    assert not Path("again-key.pem").exists()
    assert x509.load_pem_x509_csr(Path("again.csr").read_bytes()).public_key() == request.public_key()
    assert main(["pki", "gencsr", "r.yaml", "--out", "r", "--key", "r-key.pem", "--force"]) == 0
    assert Path("r-key.pem").read_bytes() == before


def test_no_flag_replaces_a_ca(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("ca.json").write_text('{"CN":"root"}')
    Path("policy.json").write_text(json.dumps({"signing": {"default": {"expiry": "9h", "usages": ["server auth"]}}}))
    assert main(["pki", "gencert", "--initca", "ca.json", "--out", "ca"]) == 0
    before = Path("ca.pem").read_bytes(), Path("ca-key.pem").read_bytes()
    by = ["--ca", "ca.pem", "--ca-key", "ca-key.pem", "--config", "policy.json", "--out", "ca", "--force"]
    assert main(["pki", "gencert", "--initca", "ca.json", "--out", "ca", "--force"]) == 9
    assert main(["pki", "gencert", "ca.json", *by]) == 9
    assert main(["pki", "gencsr", "ca.json", "--out", "r"]) == 0
    assert main(["pki", "sign", "r.csr", *by]) == 9
    assert before == (Path("ca.pem").read_bytes(), Path("ca-key.pem").read_bytes())
