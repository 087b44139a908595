"""Lists that are built, read again by `cryptography`; and what is refused."""

from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import NameOID
from hypothesis import given, settings
from hypothesis import strategies as st

from groundplane.errors import Invalid
from groundplane.pki.certdb.record import record_of
from groundplane.pki.cfssl.crl import crl_of_serials, read_seconds, read_serials
from groundplane.pki.cfssl.errors import Coded, Plain
from groundplane.pki.crl import CrlPlan, Revoked, Scope, cfssl_list, in_scope, issued_by, plan_of_rows, signed_list
from groundplane.pki.crl.build import pem
from groundplane.pki.keys import PrivateKey
from groundplane.pki.model import KeyUsage
from groundplane.pki.signer import LocalSigner

NOW = datetime(2026, 5, 6, 7, 8, 9, tzinfo=UTC)
KEY = ec.generate_private_key(ec.SECP256R1())
WEEK = timedelta(days=7)


def ca(key: PrivateKey, *, skid: bool = True, crl_sign: bool = True) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(NameOID.COUNTRY_NAME, "US"), x509.NameAttribute(NameOID.COMMON_NAME, "ca")])
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(NOW)
        .not_valid_after(NOW + timedelta(days=99))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    )
    if skid:
        builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    usage = {bit.value: False for bit in KeyUsage}
    builder = builder.add_extension(x509.KeyUsage(**{**usage, "key_cert_sign": True, "crl_sign": crl_sign}), True)
    return builder.sign(key, None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256())


CA = ca(KEY)


def plan(*revoked: Revoked, number: int | None = 7, points: tuple[str, ...] = (), scope: Scope = Scope.ALL) -> CrlPlan:
    return CrlPlan(revoked=revoked, this_update=NOW, next_update=NOW + WEEK, number=number, points=points, scope=scope)


@settings(max_examples=40, deadline=None)
@given(
    revoked=st.lists(
        st.builds(
            Revoked,
            serial=st.integers(1, 2**159),
            revoked_at=st.datetimes(datetime(1951, 1, 1), datetime(2090, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001
            reason=st.sampled_from((0, 1, 2, 3, 4, 5, 6, 9, 10)),
            invalid_since=st.none() | st.datetimes(datetime(1951, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001
        ),
        max_size=5,
        unique_by=lambda one: one.serial,
    ),
    number=st.integers(0, 2**63),
)
def test_what_is_planned_is_what_is_read(revoked: list[Revoked], number: int) -> None:
    made = x509.load_der_x509_crl(signed_list(plan(*revoked, number=number), issuer=CA, signer=LocalSigner(KEY)))
    assert made.is_signature_valid(KEY.public_key())
    assert made.issuer == CA.subject
    assert made.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number == number
    assert (made.last_update_utc, made.next_update_utc) == (NOW, NOW + WEEK)
    found = list(made)
    assert [one.serial_number for one in found] == [one.serial for one in revoked]
    for read, meant in zip(found, revoked, strict=True):
        assert read.revocation_date_utc == meant.revoked_at.replace(microsecond=0)
        kinds = [extension.oid for extension in read.extensions]
        assert len(kinds) == bool(meant.reason) + (meant.invalid_since is not None)


@pytest.mark.parametrize(
    "key",
    [KEY, ec.generate_private_key(ec.SECP384R1()), ed25519.Ed25519PrivateKey.generate()],
    ids=["P-256", "P-384", "Ed25519"],
)
def test_every_kind_of_key_signs(key: PrivateKey) -> None:
    made = x509.load_der_x509_crl(signed_list(plan(), issuer=ca(key), signer=LocalSigner(key)))
    assert made.is_signature_valid(key.public_key())


def test_cfssls_list_has_neither_number_nor_reason_and_sha_256_for_any_rsa_key() -> None:
    key = rsa.generate_private_key(65537, 3072)
    one = Revoked(serial=5, revoked_at=NOW, reason=1, invalid_since=NOW)
    made = x509.load_der_x509_crl(cfssl_list(plan(one), issuer=ca(key), key=key))
    assert isinstance(made.signature_hash_algorithm, hashes.SHA256)
    assert [extension.oid._name for extension in made.extensions] == ["authorityKeyIdentifier"]
    assert not list(next(iter(made)).extensions)
    bare = x509.load_der_x509_crl(cfssl_list(plan(), issuer=ca(key, skid=False), key=key))
    assert not list(bare.extensions)


def test_an_issuer_without_an_identifier_is_named_by_its_key_all_the_same() -> None:
    made = x509.load_der_x509_crl(signed_list(plan(), issuer=ca(KEY, skid=False), signer=LocalSigner(KEY)))
    theirs = made.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value.key_identifier
    assert theirs == x509.SubjectKeyIdentifier.from_public_key(KEY.public_key()).digest


def test_a_distribution_point_says_where_and_what_about() -> None:
    one = plan(points=("http://a/1.crl", "http://b/1.crl"), scope=Scope.CA)
    made = x509.load_der_x509_crl(signed_list(one, issuer=CA, signer=LocalSigner(KEY)))
    point = made.extensions.get_extension_for_class(x509.IssuingDistributionPoint)
    assert point.critical
    assert [name.value for name in point.value.full_name or ()] == ["http://a/1.crl", "http://b/1.crl"]
    assert point.value.only_contains_ca_certs
    assert not point.value.only_contains_user_certs


def test_who_may_not_sign_is_refused() -> None:
    signer = LocalSigner(KEY)
    for issuer, made in (
        (ca(KEY, crl_sign=False), plan()),
        (ca(ec.generate_private_key(ec.SECP256R1())), plan()),
        (CA, plan(number=None)),
        (CA, CrlPlan(revoked=(), this_update=NOW, next_update=NOW, number=1)),
        (CA, plan(points=("http://ö/",))),
    ):
        with pytest.raises(Invalid):
            signed_list(made, issuer=issuer, signer=signer)
    with pytest.raises(Coded):
        crl_of_serials(CA, ec.generate_private_key(ec.SECP256R1()), [1], within=WEEK, now=NOW)


def test_only_the_issuers_own_rows_are_on_its_list_and_each_list_has_its_scope() -> None:
    mine = record_of(CA, now=NOW)  # signed itself, so that it names no authority
    other_key = ec.generate_private_key(ec.SECP256R1())
    other = record_of(ca(other_key), now=NOW)
    assert list(issued_by([mine, other], CA)) == [mine]
    assert list(in_scope([mine], Scope.CA)) == [mine]
    assert not list(in_scope([mine], Scope.USER))
    made = plan_of_rows([mine], now=NOW, lifetime=WEEK)
    assert made.revoked == (Revoked(serial=1, revoked_at=NOW),)


def test_pem_has_lines_of_64() -> None:
    der = signed_list(plan(), issuer=CA, signer=LocalSigner(KEY))
    text = pem(der)
    assert x509.load_pem_x509_crl(text) == x509.load_der_x509_crl(der)
    assert {len(line) for line in text.decode().splitlines()[1:-2]} == {64}


def test_serials_and_seconds_are_read_as_go_does_or_refused() -> None:
    assert read_serials("5\r\n\n 7 \n", now=NOW) == (5, 7)
    for bad in ("x", "-5", "5 6", "0x5", "1_0", "\u0661", "9" * 500):
        with pytest.raises(Plain):
            read_serials(bad, now=NOW)
    assert [
        read_seconds(text).total_seconds() for text in ("", "0", " 60\n", "0x10", "010", "0b11", "1_000", "-5")
    ] == [*(604800, 604800, 60, 16, 8, 3, 1000, -5)]
    for bad in ("abc", "1.5", "9999999999", "--5", "0x"):
        with pytest.raises(Plain):
            read_seconds(bad)
