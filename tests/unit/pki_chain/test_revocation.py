"""Whether something is revoked, with a web server on loopback that answers well and badly."""

import base64
import socket
import threading
import time
import urllib.parse
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID

from groundplane.cli.main import main
from groundplane.errors import Denied, Exhausted, GroundplaneError, Unavailable
from groundplane.pki.chain.build import Pool
from groundplane.pki.chain.fetch import Fetcher, Limits
from groundplane.pki.chain.issuers import find_issuers
from groundplane.pki.chain.link import link_of
from groundplane.pki.chain.model import ChainRefused, Reason, Silent
from groundplane.pki.chain.revocation import Finding, Revocations, Standing
from groundplane.pki.chain.trust import Trust, keep, stash_name
from groundplane.pki.chain.verify import Question, Strictness, verify
from tests.unit.pki_chain.workshop import DAY, NOW, Made, Site, key, made, serving

ROOT = made("root", ca=True, the_key=key("p256", 11))
OTHER = made("other", ca=True, the_key=key("p256", 12))
DELEGATE = made("responder", issuer=ROOT, usages=(ExtendedKeyUsageOID.OCSP_SIGNING,), the_key=key("rsa2048", 13))
STRANGER = made("responder", issuer=ROOT, the_key=key("p256", 14))


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with serving() as found:
        yield found


def crl(issuer: Made, *serials: int, end: datetime = NOW + DAY, **more: Any) -> bytes:
    builder = x509.CertificateRevocationListBuilder().issuer_name(issuer.certificate.subject)
    builder = builder.last_update(more.get("start", NOW - DAY)).next_update(end)
    for serial in serials:
        entry = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(NOW - DAY).build()
        builder = builder.add_revoked_certificate(entry)
    for extension, critical in more.get("extensions", ()):
        builder = builder.add_extension(extension, critical=critical)
    return builder.sign(more.get("the_key", issuer.key), hashes.SHA256()).public_bytes(Encoding.DER)


def point(**more: Any) -> tuple[x509.ExtensionType, bool]:
    fields: dict[str, Any] = {
        "full_name": None,
        "relative_name": None,
        "only_contains_user_certs": False,
        "only_contains_ca_certs": False,
        "only_some_reasons": None,
        "indirect_crl": False,
        "only_contains_attribute_certs": False,
    }
    return x509.IssuingDistributionPoint(**{**fields, **more}), True


def answer(
    it: Made,
    status: ocsp.OCSPCertStatus = ocsp.OCSPCertStatus.GOOD,
    *,
    signer: Made = ROOT,
    issuer: Made = ROOT,
    start: datetime = NOW - timedelta(hours=1),
    end: datetime | None = NOW + timedelta(hours=1),
    digest: Any = None,
) -> bytes:
    revoked = status is ocsp.OCSPCertStatus.REVOKED
    builder = ocsp.OCSPResponseBuilder().add_response(
        it.certificate,
        issuer.certificate,
        digest or hashes.SHA1(),
        status,
        start,
        end,
        NOW - DAY if revoked else None,
        x509.ReasonFlags.key_compromise if revoked else None,
    )
    builder = builder.responder_id(ocsp.OCSPResponderEncoding.NAME, signer.certificate)
    if signer is not issuer:
        builder = builder.certificates([signer.certificate])
    return builder.sign(signer.key, hashes.SHA256()).public_bytes(Encoding.DER)


def check(it: Made, issuer: Made = ROOT, limits: Limits | None = None) -> Finding:
    revocations = Revocations(fetcher=Fetcher(limits or Limits(within=2)), clock=lambda: NOW)
    return revocations.check(link_of(it.certificate), link_of(issuer.certificate))


LEAF = made("l", issuer=ROOT, serial=77)
BAD_LISTS = {
    "stale": crl(ROOT, end=NOW - timedelta(hours=1)),
    "of tomorrow": crl(ROOT, start=NOW + timedelta(hours=12)),
    "another's": crl(OTHER),
    "forged": crl(ROOT, the_key=OTHER.key),
    "changes": crl(ROOT, extensions=[(x509.DeltaCRLIndicator(1), True)]),
    "for cas": crl(ROOT, extensions=[point(only_contains_ca_certs=True)]),
    "indirect": crl(ROOT, extensions=[point(indirect_crl=True, full_name=[x509.DNSName("x")])]),
    "odd": crl(ROOT, extensions=[(x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3"), b"\x05\x00"), True)]),
    "text": b"text",
    "nothing": b"",
}


@pytest.mark.parametrize("name", BAD_LISTS)
def test_a_list_that_cannot_be_believed_says_nothing(site: Site, name: str) -> None:
    site.pages["/crl"] = BAD_LISTS[name]
    leaf = made("l", issuer=ROOT, crl_at=(site.url("/crl"),))
    assert check(leaf).standing is Standing.UNKNOWN


def test_a_list_says_who_is_revoked(site: Site) -> None:
    leaf = made("l", issuer=ROOT, serial=4711, crl_at=("ldap://x/y", site.url("/none"), site.url("/crl")))
    for data, standing in (
        (crl(ROOT, 1, 2), Standing.GOOD),
        (crl(ROOT, 1, 4711), Standing.REVOKED),
        (
            b"-----BEGIN X509 CRL-----\n" + base64.encodebytes(crl(ROOT, 4711)) + b"-----END X509 CRL-----\n",
            Standing.REVOKED,
        ),
        (
            crl(ROOT, 4711, extensions=[(x509.CRLNumber(5), False), point(only_contains_user_certs=True)]),
            Standing.REVOKED,
        ),
    ):
        site.pages["/crl"] = data
        assert check(leaf).standing is standing


def test_a_responder_is_asked_before_a_list_and_kept(site: Site) -> None:
    leaf = made("l", issuer=ROOT, ocsp_at=(site.url("/o/"),), crl_at=(site.url("/crl"),))
    asked: list[x509.ocsp.OCSPRequest] = []

    def respond(path: str, _: bytes) -> bytes:
        asked.append(ocsp.load_der_ocsp_request(base64.b64decode(urllib.parse.unquote(path))))
        return answer(leaf, ocsp.OCSPCertStatus.REVOKED)

    site.pages |= {"/o/": respond, "/crl": crl(ROOT)}
    revocations = Revocations(fetcher=Fetcher(), clock=lambda: NOW)
    for _ in range(3):
        found = revocations.check(link_of(leaf.certificate), link_of(ROOT.certificate))
        assert (found.standing, found.why) == (Standing.REVOKED, f"on {NOW - DAY:%F}, keyCompromise")
    assert [request.serial_number for request in asked] == [leaf.certificate.serial_number]


@pytest.mark.parametrize("signer", [ROOT, DELEGATE])
@pytest.mark.parametrize("digest", [hashes.SHA1(), hashes.SHA256()])
def test_the_issuer_or_its_delegate_may_answer(site: Site, signer: Made, digest: Any) -> None:
    leaf = made("l", issuer=ROOT, ocsp_at=(site.url("/o/"),))
    site.pages["/o/"] = answer(leaf, signer=signer, digest=digest)
    assert check(leaf).standing is Standing.GOOD


def test_an_answer_that_cannot_be_believed_says_nothing(site: Site) -> None:
    leaf = made("l", issuer=ROOT, ocsp_at=(site.url("/o/"),))
    refusal = ocsp.OCSPResponseBuilder.build_unsuccessful(ocsp.OCSPResponseStatus.UNAUTHORIZED)
    for data in (
        answer(leaf, signer=STRANGER),
        answer(leaf, signer=OTHER),
        answer(LEAF),
        answer(leaf, end=NOW - timedelta(minutes=1)),
        answer(leaf, start=NOW + timedelta(hours=2), end=NOW + timedelta(hours=3)),
        answer(leaf, ocsp.OCSPCertStatus.UNKNOWN),
        refusal.public_bytes(Encoding.DER),
        answer(leaf)[:-3],
        b"",
        b"0\x03\n\x01\x06",
    ):
        site.pages["/o/"] = data
        assert check(leaf).standing is Standing.UNKNOWN


def test_fetches_are_bounded(site: Site) -> None:
    site.pages |= {
        "/large": b"x" * 5000,
        "/loop": site.url("/loop"),
        "/near": "/small",
        "/small": b"small",
        "/file": "file:///etc/passwd",
    }
    fetcher = Fetcher(Limits(most_bytes=4000, within=1, hosts=frozenset({"127.0.0.1"})))
    assert fetcher.get(site.url("/near")) == b"small"
    for url, kind in (
        (site.url("/large"), Exhausted),
        (site.url("/loop"), Unavailable),
        (site.url("/missing"), Unavailable),
        (f"http://localhost:{site.port}/small", Denied),
        (site.url("/file"), GroundplaneError),
        ("ftp://127.0.0.1/x", GroundplaneError),
        ("http://127.0.0.1:1/", Unavailable),
        ("http://127.0.0.1:99999/", GroundplaneError),
        ("http:///x", GroundplaneError),
        (site.url("/a b"), GroundplaneError),
        (site.url("/é"), GroundplaneError),
    ):
        with pytest.raises(kind):
            fetcher.get(url)


def test_a_certificate_with_a_thousand_addresses_is_not_followed_for_ever(site: Site) -> None:
    far = made("far", ca=True, issuer=OTHER, the_key=key("p256", 31))
    leaf = made("l", issuer=far, issuers_at=[site.url(f"/far/{number}") for number in range(200)])
    trust = Trust(roots=Pool([link_of(ROOT.certificate)]), fetcher=Fetcher(Limits(within=2)))
    site.asked.clear()
    assert not find_issuers([link_of(leaf.certificate)], trust, at=NOW, journal=Silent())
    assert len(site.asked) == 64


def test_a_slow_server_is_left(site: Site) -> None:
    def slow(_: str, __: bytes) -> bytes:
        time.sleep(1)
        return b"late"

    site.pages["/slow"] = slow
    start = time.monotonic()
    with pytest.raises(Unavailable):
        Fetcher(Limits(within=0.2)).get(site.url("/slow"))
    assert time.monotonic() - start < 0.9


@pytest.mark.parametrize("start", [b"HTTP/1.1 200 OK\r\nX: ", b"HTTP/1.1 200 OK\r\n\r\n", b""])
def test_a_server_that_drips_is_left(start: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def drip() -> None:
            connection, _ = server.accept()
            with connection:
                try:
                    connection.sendall(start)
                    for _ in range(60):
                        connection.sendall(b"x")
                        time.sleep(0.05)
                except OSError:
                    pass  # the other side has gone, as it should

        thread = threading.Thread(target=drip)
        thread.start()
        begun = time.monotonic()
        with pytest.raises(Unavailable):
            Fetcher(Limits(within=0.3)).get(f"http://127.0.0.1:{server.getsockname()[1]}/")
        assert time.monotonic() - begun < 1.5
        thread.join()


def judge(leaf: Made, *middles: Made, strictness: Strictness, roots: tuple[Made, ...] = (ROOT,)) -> list[str]:
    trust = Trust(roots=Pool(link_of(it.certificate) for it in roots))
    given = [link_of(it.certificate) for it in (leaf, *middles)]
    revocations = Revocations(fetcher=Fetcher(Limits(within=2)), clock=lambda: NOW)
    verdict = verify(given, trust, Question(strictness=strictness), at=NOW, revocations=revocations)
    return [it.title for it in verdict.chain]


def test_a_revoked_intermediate_does_not_spoil_the_other_chain(site: Site) -> None:
    signer = key("p256", 21)
    bad = made(
        "m", ca=True, issuer=ROOT, the_key=signer, serial=900, crl_at=(site.url("/root-crl"),), end=NOW + 290 * DAY
    )
    good = made("m", ca=True, issuer=OTHER, the_key=signer, crl_at=(site.url("/other-crl"),), end=NOW + 200 * DAY)
    leaf = made("l", issuer=bad, crl_at=(site.url("/m-crl"),))
    site.pages |= {"/root-crl": crl(ROOT, 900), "/other-crl": crl(OTHER), "/m-crl": crl(good)}
    both = (ROOT, OTHER)
    assert judge(leaf, bad, good, strictness=Strictness.HARD, roots=both) == ["l", "m", "other"]
    with pytest.raises(ChainRefused) as refused:
        judge(leaf, bad, good, strictness=Strictness.SOFT)
    assert refused.value.reason is Reason.REVOKED
    assert judge(leaf, bad, good, strictness=Strictness.OFF) == ["l", "m", "root"]


def test_soft_bears_what_hard_refuses(site: Site) -> None:
    leaf = made("l", issuer=ROOT, crl_at=(site.url("/none"),))
    assert judge(leaf, strictness=Strictness.SOFT) == ["l", "root"]
    with pytest.raises(ChainRefused) as refused:
        judge(leaf, strictness=Strictness.HARD)
    assert refused.value.reason is Reason.UNCHECKED


def test_the_command_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    leaf = made("l.example", issuer=ROOT, serial=77, hosts=("l.example",))
    files = {"leaf": leaf.pem, "root": ROOT.pem, "good": crl(ROOT, 1), "bad": crl(ROOT, 77), "text": b"text"}
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    base = ["pki", "verify", str(tmp_path / "leaf"), "--ca", str(tmp_path / "root"), "--no-fetch"]
    for more, code in (
        (["--crl", str(tmp_path / "good"), "--revocation", "hard"], 0),
        (["--crl", str(tmp_path / "bad")], 3),
        (["--revocation", "hard"], 3),
        ([], 0),
        (["--host", "x.example"], 3),
        (["--crl", str(tmp_path / "text")], 3),
        (["--connect", "x"], 3),
        (["--at", "2099-01-01"], 3),
    ):
        assert main([*base, *more, "-o", "json"]) == code, more
    assert "traceback" not in capsys.readouterr().err.lower()


def test_a_stash_stays_in_its_folder(tmp_path: Path) -> None:
    for name in ("../../x", "a/b. c", "", "x" * 900, "n\0l"):
        it = link_of(made("m", ca=True, subject=[(x509.NameOID.ORGANIZATION_NAME, "o")]).certificate)
        object.__setattr__(
            it,
            "certificate",
            made(
                name[:64].replace("\0", " ") or "", ca=True, subject=[(x509.NameOID.ORGANIZATION_NAME, "o")]
            ).certificate,
        )
        kept = keep(it, tmp_path)
        assert (tmp_path / kept).read_text().startswith("-----BEGIN")
        assert kept == stash_name(it)
        assert "/" not in kept
