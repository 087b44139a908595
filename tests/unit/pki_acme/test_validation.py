"""What a validation asks, and how it ends, where no socket is needed; and the chains that an issuer offers."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from groundplane.errors import Invalid
from groundplane.pki.acme.addresses import Address
from groundplane.pki.acme.caa import Record
from groundplane.pki.acme.config import Validation
from groundplane.pki.acme.dns01 import wanted_text
from groundplane.pki.acme.issuer import Issuer
from groundplane.pki.acme.model import (
    Authorization,
    AuthorizationStatus,
    Challenge,
    ChallengeType,
    Identifier,
    IdentifierType,
)
from groundplane.pki.acme.problem import Problem, Type
from groundplane.pki.acme.tlsalpn01 import EXTENSION, check_certificate
from groundplane.pki.acme.validation import Validator
from tests.support.acme import BASE, START, FakeDNS, b64, csr, id_of, lab, prove

NAME = Identifier(IdentifierType.DNS, "a.example.test")
CHALLENGE = Challenge(id="c", authorization="x", type=ChallengeType.DNS, token="token")
TEXT = wanted_text("token.print").encode()


def authorization(identifier: Identifier = NAME, *, wildcard: bool = False) -> Authorization:
    return Authorization(
        id="x",
        account="a",
        identifier=identifier,
        wildcard=wildcard,
        stored=AuthorizationStatus.PENDING,
        expires=START,
        created=START,
    )


async def outcome(
    resolver: FakeDNS, *, caa: tuple[str, ...] = (), kind: ChallengeType = ChallengeType.DNS
) -> Problem | None:
    validator = Validator(Validation(timeout=timedelta(milliseconds=300)), caa_identities=caa, resolver=resolver)
    challenge = replace(CHALLENGE, type=kind)
    return await validator.validate(challenge, authorization(), thumbprint="print", account_url="https://me")


async def test_one_right_record_among_others_is_enough() -> None:
    resolver = FakeDNS()
    resolver.records["_acme-challenge.a.example.test"] = [b"old", TEXT]
    assert await outcome(resolver) is None
    resolver.records["_acme-challenge.a.example.test"] = [b"old", b"older"]
    refused = await outcome(resolver)
    assert refused is not None
    assert (refused.type, refused.identifier) == (Type.INCORRECT_RESPONSE, NAME)
    assert "'old' and 1 more" in refused.happened


async def test_no_record_and_no_address_are_the_dnss_business() -> None:
    for kind in (ChallengeType.DNS, ChallengeType.HTTP, ChallengeType.TLS_ALPN):
        refused = await outcome(FakeDNS(), kind=kind)
        assert refused is not None
        assert refused.type is Type.DNS


async def test_caa_is_obeyed_up_the_tree_where_the_server_has_an_identity() -> None:
    resolver = FakeDNS()
    resolver.records["_acme-challenge.a.example.test"] = [TEXT]
    resolver.caa_records["example.test"] = [Record(critical=False, tag="issue", value="other.test")]
    assert await outcome(resolver) is None
    refused = await outcome(resolver, caa=("ca.test",))
    assert refused is not None
    assert refused.type is Type.CAA
    resolver.caa_records["a.example.test"] = [
        Record(critical=False, tag="issue", value="ca.test; accounturi=https://me")
    ]
    assert await outcome(resolver, caa=("ca.test",)) is None


async def test_forbidden_addresses_are_not_connected_to() -> None:
    resolver = FakeDNS()
    resolver.hosts["a.example.test"] = ["127.0.0.1", "169.254.169.254", "::1"]
    for kind in (ChallengeType.HTTP, ChallengeType.TLS_ALPN):
        refused = await outcome(resolver, kind=kind)
        assert refused is not None
        assert refused.type is Type.CONNECTION


async def test_a_slow_resolver_is_not_waited_for() -> None:
    class Slow(FakeDNS):
        async def addresses(self, name: str) -> list[Address]:
            await asyncio.sleep(60)
            return [ip_address("192.0.2.1")] if name else []

    refused = await outcome(Slow(), kind=ChallengeType.HTTP)
    assert refused is not None
    assert "no answer within 0.3 s" in refused.happened


def alpn(names: list[x509.GeneralName], value: bytes, *, critical: bool = True) -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([])
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(START).not_valid_after(START + timedelta(days=1))
    builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    builder = builder.add_extension(x509.UnrecognizedExtension(EXTENSION, value), critical=critical)
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.DER)


def test_a_tls_alpn_certificate_is_held_to_every_word_of_the_rfc() -> None:
    digest = hashes.Hash(hashes.SHA256())
    digest.update(b"token.print")
    value = b"\x04\x20" + digest.finalize()
    mine = x509.DNSName("a.example.test")
    check_certificate(alpn([mine], value), NAME, "token.print")
    check_certificate(alpn([x509.DNSName("A.example.TEST")], value), NAME, "token.print")
    address = Identifier(IdentifierType.IP, "10.0.0.1")
    check_certificate(alpn([x509.IPAddress(ip_address("10.0.0.1"))], value), address, "token.print")
    for wrong in (
        alpn([mine, x509.DNSName("b.example.test")], value),
        alpn([x509.DNSName("b.example.test")], value),
        alpn([x509.IPAddress(ip_address("10.0.0.1"))], value),
        alpn([mine], value, critical=False),
        alpn([mine], value[:-1]),
        alpn([mine], value + b"\0"),
        b"",
        b"\x30\x03\x02\x01\x01",
    ):
        with pytest.raises(Problem):
            check_certificate(wrong, NAME, "token.print")


async def test_alternate_chains_are_offered_and_have_to_be_of_the_same_key(tmp_path: Path) -> None:
    here = lab(tmp_path)
    (tmp_path / "other").mkdir()
    elsewhere = lab(tmp_path / "other")
    mine, theirs = here.authority.certificate, elsewhere.authority.certificate
    policy, signer = here.issuer._policy, here.issuer._signer
    with pytest.raises(Invalid, match="another CA"):
        Issuer([mine], signer, policy=policy, default_profile="", ledger=here.ledger, alternates=[[theirs]])
    issuer = Issuer([mine], signer, policy=policy, default_profile="", ledger=here.ledger, alternates=[[mine, theirs]])
    object.__setattr__(here.context, "issuer", issuer)
    client = here.client()
    await client.register()
    order = await client.order("a.example.test")
    prove(here, id_of(order.json["authorizations"][0]))
    done = await client.post(order.json["finalize"], {"csr": b64(csr("a.example.test"))})
    usual = await client.post(done.json["certificate"], None)
    (other,) = [value for name, value in usual.headers if name == "link" and 'rel="alternate"' in value]
    assert other == f'<{done.json["certificate"]}/1>;rel="alternate"'
    chain = await client.post(f"{done.json['certificate']}/1", None)
    leaf, *above = x509.load_pem_x509_certificates(chain.body)
    assert leaf == x509.load_pem_x509_certificates(usual.body)[0]
    assert above == [mine, theirs]
    assert (await client.post(f"{done.json['certificate']}/2", None)).status == 404
    assert done.json["certificate"].startswith(BASE)
