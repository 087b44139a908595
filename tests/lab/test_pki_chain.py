"""Bundles and pools of certificates: the same files through Debian's cfssl 1.2.0 and through ours, with one answer.

Chains are generated: straight, reversed, broken, expired, constrained, cross-signed, with issuers on a web server.
"""

import json
import random
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat, pkcs12
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from groundplane.cli.main import main as groundplane
from tests.lab.cfssl_compare import NEWER, REAL, call_ours, call_real
from tests.unit.pki_chain.test_revocation import answer
from tests.unit.pki_chain.workshop import DAY, NOW, Made, Site, cut, key, key_pem, made, serving, whole

SCRUB = (
    (re.compile(rb"\d{4}/\d\d/\d\d \d\d:\d\d:\d\d "), b"TIME "),
    (re.compile(rb"current time \S+ "), b"current time NOW "),
    # New after 1.2.0: see docs/cfssl.md, Bundles.
    *(() if NEWER else ((re.compile(rb' \(possibly because of \\".*\\"\)'), b""),)),
)


@dataclass
class Shelf:
    """Files for one call."""

    files: dict[str, bytes] = field(default_factory=dict)

    def put(self, name: str, *them: Made) -> str:
        self.files[name] = b"".join(it.pem for it in them)
        return name


def both(shelf: Shelf, argv: list[str], folder: Path, stdin: bytes = b"") -> tuple[Any, Any]:
    found = []
    for who, call in (("theirs", call_real), ("ours", call_ours)):
        place = folder / who
        place.mkdir()
        for name, data in shelf.files.items():
            (place / name).write_bytes(data)
        code, out, err = call(argv, place, stdin)
        err = _scrubbed(err)
        kept = {
            str(path.relative_to(place)): path.read_bytes()
            for path in sorted(place.rglob("*"))
            if path.is_file() and path.name not in shelf.files
        }
        found.append((code, described(out), err.decode(), kept))
    theirs, ours = found
    if ours[1] and theirs[1] and theirs[1]["root"] and not NEWER:  # 1.2.0 counts the root, which is not in the bundle
        end = x509.load_pem_x509_certificate(theirs[1]["root"].encode()).not_valid_after_utc
        ours[1]["expires"] = min(ours[1]["expires"], f"{end:%Y-%m-%dT%H:%M:%SZ}")
    return theirs, ours


def described(out: bytes) -> Any:
    if not out:
        return None
    assert not out.endswith(b"\n")
    document = json.loads(out)
    assert list(document) == sorted(document)
    assert document.get("leaf_expires", "Z").endswith("Z")
    if not NEWER:
        document.pop("leaf_expires", None)  # new after 1.2.0
    document["hostnames"].sort()  # CFSSL's order is random
    return document


@dataclass
class Family:
    """Two roots, intermediates of both, a cross-signed one, and leaves."""

    root: Made
    other: Made
    middle: Made
    cross: Made
    deep: Made
    leaf: Made
    deep_leaf: Made


@pytest.fixture(scope="module")
def family() -> Family:
    country = ((NameOID.COUNTRY_NAME, "US"), (NameOID.ORGANIZATION_NAME, 'Odd, "Inc" + <b>'))
    root = made("Root One", ca=True, the_key=key("p384", 1), end=NOW + 3000 * DAY, subject=country)
    other = made("Root Two", ca=True, the_key=key("rsa2048", 1), end=NOW + 2000 * DAY)
    signer = key("p256", 99)
    middle = made("Middle. 1", ca=True, the_key=signer, issuer=root, end=NOW + 900 * DAY)
    cross = made("Middle. 1", ca=True, the_key=signer, issuer=other, end=NOW + 800 * DAY)
    deep = made("Deep", ca=True, issuer=middle, the_key=key("rsa2048", 2), depth=0)
    leaf = whole("leaf.example", issuer=middle, hosts=("leaf.example", "b.example"), the_key=key("p256", 50))
    deep_leaf = made("d.example", issuer=deep, hosts=("d.example",), the_key=key("rsa2048", 3))
    return Family(root, other, middle, cross, deep, leaf, deep_leaf)


GOOD, REVOKED = ocsp.OCSPCertStatus.GOOD, ocsp.OCSPCertStatus.REVOKED
FLAVORS = ("ubiquitous", "optimal", "force", "none of these")


@pytest.mark.parametrize("flavor", FLAVORS)
@pytest.mark.parametrize("order", ["leaf", "chain", "reversed", "with root", "gap", "unrelated"])
def test_the_order_of_the_input(family: Family, order: str, flavor: str, tmp_path: Path) -> None:
    them = {
        "leaf": (family.deep_leaf,),
        "chain": (family.deep_leaf, family.deep, family.middle),
        "reversed": (family.middle, family.deep, family.deep_leaf),
        "with root": (family.deep_leaf, family.deep, family.middle, family.root),
        "gap": (family.deep_leaf, family.middle),
        "unrelated": (family.deep_leaf, family.other, family.leaf),
    }[order]
    shelf = Shelf({"key": key_pem(family.deep_leaf.key)})
    argv = ["cfssl", "bundle", "-cert", shelf.put("cert", *them), "-key", "key", "-flavor", flavor]
    argv += ["-ca-bundle", shelf.put("ca", family.root), "-int-bundle", shelf.put("int", family.deep, family.middle)]
    theirs, ours = both(shelf, argv, tmp_path)
    assert ours == theirs


@pytest.mark.parametrize("flavor", FLAVORS[:2])
@pytest.mark.parametrize("first", [0, 1])
def test_of_cross_signed_chains_the_same_is_chosen(family: Family, flavor: str, first: int, tmp_path: Path) -> None:
    shelf = Shelf()
    roots = [family.root, family.other]
    middles = [family.middle, family.cross]
    argv = ["cfssl", "bundle", "-cert", shelf.put("cert", family.leaf), "-flavor", flavor]
    argv += ["-ca-bundle", shelf.put("ca", *roots[first:], *roots[:first])]
    argv += ["-int-bundle", shelf.put("int", *middles[first:], *middles[:first])]
    theirs, ours = both(shelf, argv, tmp_path)
    assert theirs[0] == 0
    assert ours == theirs


def bad_leaves(family: Family) -> dict[str, tuple[Made, tuple[Made, ...]]]:
    """A leaf of each kind of trouble, and the intermediates that go with it."""
    root, middle = family.root, family.middle

    def leaf(issuer: Made, *hosts: str, **more: Any) -> Made:
        return made("l.example", issuer=issuer, hosts=hosts or ("l.example",), **more)

    short = made("Short", ca=True, issuer=root, depth=0)
    below = made("Below", ca=True, issuer=short)
    dead = made("Dead", ca=True, issuer=root, start=NOW - 9 * DAY, end=NOW - DAY)
    early = made("Early", ca=True, issuer=root, start=NOW + DAY)
    no_ca = made("No CA", issuer=root)
    no_basic = made("No Basic", issuer=root, ca=True, basic=False)
    no_sign = made("No Sign", issuer=root, ca=True, may_sign=False)
    impostor = made("Middle. 1", ca=True, the_key=key("p256", 77), issuer=root)
    narrow = made("Narrow", ca=True, issuer=root, permitted=("dns:good.example", "ip:10.0.0.0/8", "mail:m.example"))
    barring = made("Barring", ca=True, issuer=root, excluded=("dns:bad.example", "ip:192.168.0.0/16"))
    odd_middle = made("Odd", ca=True, issuer=root, odd_critical=True)
    twice = made("Twice", ca=True, issuer=narrow)
    return {
        "expired": (leaf(middle, start=NOW - 9 * DAY, end=NOW - DAY), (middle,)),
        "not yet": (leaf(middle, start=NOW + DAY), (middle,)),
        "expired intermediate": (leaf(dead), (dead,)),
        "early intermediate": (leaf(early), (early,)),
        "path length": (leaf(below), (short, below)),
        "issuer is no ca": (leaf(no_ca), (no_ca,)),
        "issuer without constraints": (leaf(no_basic), (no_basic,)),
        "issuer may not sign": (leaf(no_sign), (no_sign,)),
        "impostor": (leaf(middle), (impostor,)),
        "impostor before the right one": (leaf(middle), (impostor, middle)),
        "odd critical": (leaf(middle, odd_critical=True), (middle,)),
        "odd critical above": (leaf(odd_middle), (odd_middle,)),
        "permitted": (leaf(narrow, "a.good.example", "good.example", "10.1.2.3", "x@m.example"), (narrow,)),
        "not permitted dns": (leaf(narrow, "evil.example"), (narrow,)),
        "not permitted suffix": (leaf(narrow, "notgood.example"), (narrow,)),
        "not permitted ip": (leaf(narrow, "11.0.0.1"), (narrow,)),
        "not permitted mail": (leaf(narrow, "a@other.example"), (narrow,)),
        "permitted other family": (leaf(narrow, "::1"), (narrow,)),
        "permitted below": (leaf(twice, "x.good.example"), (narrow, twice)),
        "not permitted below": (leaf(twice, "evil.example"), (narrow, twice)),
        "excluded dns": (leaf(barring, "www.BAD.example"), (barring,)),
        "excluded ip": (leaf(barring, "192.168.7.7"), (barring,)),
        "not excluded": (leaf(barring, "fine.example", "10.0.0.1"), (barring,)),
        "no issuer": (leaf(middle), ()),
        "stranger": (made("s.example", issuer=made("Stranger", ca=True), hosts=("s.example",)), (middle,)),
        "signs itself": (made("self", ca=True), ()),
        "signs itself, no ca": (made("self.example", hosts=("self.example",)), ()),
        "is a trusted root": (root, ()),
        "soon over": (leaf(middle, end=NOW + 10 * DAY), (middle,)),
        "with ocsp": (leaf(middle, ocsp_at=("http://o.example/a", "http://o.example/b")), (middle,)),
        "with ocsp, from the root": (leaf(root, ocsp_at=("http://o.example/",), crl_at=("http://c.example/c",)), ()),
        "a ca with ocsp": (made("Sub", ca=True, issuer=root, ocsp_at=("http://o.example/",)), ()),
        "from the root": (leaf(root), ()),
        "p521": (leaf(root, the_key=key("p521")), ()),
        "rsa 3072": (leaf(root, the_key=key("rsa3072")), ()),
        "no common name": (made("", issuer=root, hosts=("n.example",)), ()),
    }


def names_of_bad_leaves() -> list[str]:
    root = made("r", ca=True)
    return list(bad_leaves(Family(root, root, root, root, root, root, root)))


@pytest.mark.parametrize("name", names_of_bad_leaves())
def test_good_and_bad_leaves(family: Family, name: str, tmp_path: Path) -> None:
    leaf, middles = bad_leaves(family)[name]
    shelf = Shelf()
    argv = ["cfssl", "bundle", "-cert", shelf.put("cert", leaf), "-ca-bundle", shelf.put("ca", family.root)]
    if middles:
        argv += ["-int-bundle", shelf.put("int", *middles)]
    theirs, ours = both(shelf, argv, tmp_path)
    assert ours == theirs


@dataclass
class Draw:
    """A random set of CAs that sign one another, and a leaf."""

    roots: list[Made]
    middles: list[Made]
    leaf: Made
    given: list[Made]


def drawn(seed: int) -> Draw:
    chance = random.Random(seed)
    kinds = ("p256", "p384", "rsa2048", "p521")

    def end() -> Any:
        return NOW + chance.choice((20, 100, 400, 1000, 1300)) * DAY if chance.random() > 0.08 else NOW - DAY

    roots = [
        made(f"Root {n}", ca=True, the_key=key(chance.choice(kinds), n), end=NOW + chance.choice((900, 2000)) * DAY)
        for n in range(chance.randint(1, 3))
    ]
    keys = [key(chance.choice(kinds[:3]), 20 + n) for n in range(4)]
    above: list[Made] = list(roots)
    middles: list[Made] = []
    for level, its_key in enumerate(keys[: chance.randint(1, 4)]):
        crossings = [
            made(
                f"Level {level}",
                ca=True,
                the_key=its_key,
                issuer=parent,
                end=end(),
                depth=chance.choice((None, None, 0, 1, 2)),
            )
            for parent in chance.sample(above, min(len(above), chance.randint(1, 2)))
        ]
        middles += crossings
        above = [*crossings, *(chance.sample(roots, 1) if chance.random() < 0.3 else [])]
    leaf = made("drawn.example", issuer=chance.choice(above), hosts=("drawn.example",), end=end())
    chance.shuffle(middles)
    given = [leaf, *chance.sample(middles, chance.randint(0, min(2, len(middles))))]
    return Draw(roots, middles, leaf, given)


@pytest.mark.parametrize("seed", range(48))
def test_drawn_families(seed: int, tmp_path: Path) -> None:
    it = drawn(seed)
    shelf = Shelf()
    argv = ["cfssl", "bundle", "-cert", shelf.put("cert", *it.given), "-flavor", FLAVORS[seed % 3]]
    argv += ["-ca-bundle", shelf.put("ca", *it.roots), "-int-bundle", shelf.put("int", *it.middles)]
    theirs, ours = both(shelf, argv, tmp_path)
    assert ours == theirs


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with serving() as found:
        yield found


@pytest.mark.parametrize(
    "how", ["der", "pem", "two steps", "given", "broken", "endless", "stranger", "loop", "no stash"]
)
def test_issuers_are_fetched_and_kept(site: Site, how: str, tmp_path: Path) -> None:
    place = f"/{how.replace(' ', '-')}"
    root = made("Fetch Root", ca=True, end=NOW + 2000 * DAY)
    upper = made("Upper CA.x", ca=True, issuer=root, the_key=key("p256", 31))
    at = site.url(f"{place}/upper.crt")
    lower = made("Lower", ca=True, issuer=upper, the_key=key("p256", 32), issuers_at=(at,))
    steps = how in {"two steps", "loop", "no stash"}
    leaf = made(
        "fetched.example",
        issuer=lower if steps or how == "given" else upper,
        hosts=("fetched.example",),
        issuers_at=(site.url(f"{place}/missing.crt"), site.url(f"{place}/lower.crt")) if steps else (at,),
    )
    pages: dict[str, Any] = {"upper.crt": upper.der, "lower.crt": lower.pem}
    if how == "pem":
        pages["upper.crt"] = upper.pem
    elif how == "broken":
        pages["upper.crt"] = b"this is no certificate"
    elif how == "stranger":
        pages["upper.crt"] = made("Upper CA.x", ca=True).der
    elif how == "loop":
        pages["upper.crt"] = lower.der
    elif how == "endless":
        pages["upper.crt"] = site.url(f"{place}/upper.crt")
    site.pages |= {f"{place}/{name}": data for name, data in pages.items()}
    shelf = Shelf()
    given = (leaf, lower) if how == "given" else (leaf,)
    argv = ["cfssl", "bundle", "-cert", shelf.put("cert", *given), "-ca-bundle", shelf.put("ca", root)]
    argv += [] if how == "no stash" else ["-int-dir", "found/here"]
    theirs, ours = both(shelf, argv, tmp_path)
    assert ours == theirs
    assert theirs[0] == (how in {"broken", "endless", "stranger", "loop"})
    if theirs[0] == 0 and how != "no stash":
        assert ours[3]
        assert all((tmp_path / "ours" / name).stat().st_mode & 0o777 == 0o644 for name in ours[3])


def test_key_stores_and_der(family: Family, tmp_path: Path) -> None:
    lock = _old_lock(b"0")  # Go reads no other
    store = pkcs12.serialize_key_and_certificates(b"x", family.leaf.key, family.leaf.certificate, None, lock)
    shelf = Shelf({"store": store, "der": family.leaf.der, "bad": b"0\x82\x00\x01x", "empty": b""})
    shelf.files["spaced"] = b"\n " + family.leaf.der + b" \r\n"
    common = ["-ca-bundle", shelf.put("ca", family.root), "-int-bundle", shelf.put("int", family.middle)]
    for number, argv in enumerate(
        (["store"], ["store", "-password", "x"], ["der"], ["spaced"], ["bad"], ["empty"], ["nofile"])
    ):
        theirs, ours = both(shelf, ["cfssl", "bundle", "-cert", *argv, *common], _sub(tmp_path, number))
        assert ours == theirs
    # CFSSL cuts off what looks like white space, though it is the signature's last byte.
    ending = cut("leaf.example", issuer=family.middle, the_key=key("p256", 50))
    shelf.files["cut"] = ending.der
    theirs, ours = both(shelf, ["cfssl", "bundle", "-cert", "cut", *common], _sub(tmp_path, 9))
    assert '"code":1002' in theirs[2]
    assert ours[1]["bundle"].encode() + b"\n" == ending.pem + family.middle.pem
    # Debian's refuses key stores with a chain, modern encryption and PKCS#7; these are read here.
    chain = [family.middle.certificate]
    args = (b"x", family.leaf.key, family.leaf.certificate, chain, BestAvailableEncryption(b"0"))
    shelf.files["modern"] = pkcs12.serialize_key_and_certificates(*args)
    convert = ("openssl", "crl2pkcs7", "-nocrl", "-certfile", "/dev/stdin")
    both_pem = family.leaf.pem + family.middle.pem
    shelf.files["p7"] = subprocess.run(convert, input=both_pem, capture_output=True, check=True, timeout=30).stdout
    for number, name in enumerate(("modern", "p7"), 10):
        _, ours = both(shelf, ["cfssl", "bundle", "-cert", name, *common[:2]], _sub(tmp_path, number))
        assert ours[0] == 0
        assert ours[1]["bundle"].encode() + b"\n" == both_pem
        assert bool(ours[1]["key"]) == (name == "modern")


def _old_lock(password: bytes) -> Any:
    builder = PrivateFormat.PKCS12.encryption_builder().kdf_rounds(2048)
    return (
        builder.key_cert_algorithm(pkcs12.PBES.PBESv1SHA1And3KeyTripleDESCBC).hmac_hash(hashes.SHA1()).build(password)
    )


def _sub(folder: Path, number: int) -> Path:
    place = folder / str(number)
    place.mkdir()
    return place


def test_keys(family: Family, tmp_path: Path) -> None:
    keys = {
        "right": key_pem(family.leaf.key),
        "other": key_pem(key("p256", 51)),
        "kind": key_pem(key("rsa2048", 1)),
        "text": b"{}",
    }
    shelf = Shelf(dict(keys))
    common = ["-ca-bundle", shelf.put("ca", family.root), "-int-bundle", shelf.put("int", family.middle)]
    shelf.put("cert", family.leaf)
    for number, name in enumerate((*keys, "nofile")):
        theirs, ours = both(shelf, ["cfssl", "bundle", "-cert", "cert", "-key", name, *common], _sub(tmp_path, number))
        assert ours == theirs
    for number, name in enumerate((*keys, "nofile"), 10):
        argv = ["cfssl", "bundle", "-cert", "-", "-key", name, *common]
        theirs, ours = both(shelf, argv, _sub(tmp_path, number), stdin=family.leaf.pem)
        assert ours == theirs


def test_clients_are_bundled_too(family: Family, tmp_path: Path) -> None:
    """1.2.0 takes servers' certificates only; 1.6.5 any."""
    leaf = made("client", issuer=family.middle, usages=(ExtendedKeyUsageOID.CLIENT_AUTH,))
    shelf = Shelf()
    argv = ["cfssl", "bundle", "-cert", shelf.put("cert", leaf), "-int-bundle", shelf.put("int", family.middle)]
    theirs, ours = both(shelf, [*argv, "-ca-bundle", shelf.put("ca", family.root)], tmp_path)
    assert ours[0] == 0
    assert theirs == ours if NEWER else '"code":1214' in theirs[2]
    assert ours[1]["bundle"].encode() + b"\n" == leaf.pem + family.middle.pem


def test_metadata_weighs_the_chains(family: Family, tmp_path: Path) -> None:
    shelf = Shelf()
    shelf.put("one.pem", family.root)
    shelf.put("two.pem", family.other)
    shelf.put("both.pem", family.root, family.other)
    common = ["-cert", shelf.put("cert", family.leaf), "-ca-bundle", shelf.put("ca", family.root, family.other)]
    common += ["-int-bundle", shelf.put("int", family.middle, family.cross), "-metadata", "metadata"]

    def platform(name: str, weight: int, store: str, hash_: str = "SHA2", key_: str = "ECDSA256") -> dict[str, Any]:
        return {"name": name, "weight": weight, "hash_algo": hash_, "key_algo": key_, "keystore": store}

    sets: list[list[dict[str, Any]]] = [
        [platform("A", 10, "one.pem"), platform("B", 20, "two.pem")],
        [platform("A", 30, "one.pem"), platform("B", 20, "two.pem"), platform("C", 5, "")],
        [platform("A", 10, "both.pem"), platform("Old", 99, "two.pem", "SHA1", "RSA")],
        [platform("A", 10, "one.pem"), platform("B", 10, "two.pem", key_="ECDSA521")],
        [],
    ]
    for number, platforms in enumerate(sets):
        shelf.files["metadata"] = json.dumps(platforms).encode()
        theirs, ours = both(shelf, ["cfssl", "bundle", *common], _sub(tmp_path, number))
        assert theirs[0] == 0
        assert ours == theirs


def test_files_that_are_not_what_they_should_be(family: Family, tmp_path: Path) -> None:
    shelf = Shelf({"text": b"text", "empty": b"", "key": key_pem(family.leaf.key)})
    for name, it in (("leaf", family.leaf), ("root", family.root), ("middle", family.middle)):
        shelf.put(name, it)
    shelf.files["trailing"] = family.leaf.pem + b"more\n"
    shelf.files["leading"] = b"Bag Attributes\n" + family.leaf.pem
    shelf.files["crlf"] = family.leaf.pem.replace(b"\n", b"\r\n")
    shelf.files["twice"] = family.leaf.pem * 2
    calls = [[*base, *rest] for base in (["-cert", "leaf"],) for rest in _odd_arguments()]
    calls += [["-cert", name, "-ca-bundle", "root", "-int-bundle", "middle"] for name in shelf.files]
    calls += [[], ["-cert", ""], ["-flavor", "force"], ["-domain", ""], ["-x"]]
    for number, call in enumerate(calls):
        theirs, ours = both(shelf, ["cfssl", "bundle", *call], _sub(tmp_path, number))
        if call == ["-x"]:
            assert (ours[0], ours[2].split("\n")[0]) == (theirs[0], theirs[2].split("\n")[0])
            continue
        assert ours == theirs, call


def _odd_arguments() -> list[list[str]]:
    names = ("nofile", "text", "empty", "key", ".")
    return [
        *(["-ca-bundle", name] for name in names),
        *(["-ca-bundle", "root", "-int-bundle", name] for name in names),
        ["-ca-bundle", "nofile", "-flavor", "force", "-int-dir", "new"],
        ["-metadata", "nofile", "-ca-bundle", "root", "-int-bundle", "middle"],
        ["-ca-bundle", "root", "-int-bundle", "middle", "left", "over"],
    ]


def test_the_smaller_program(family: Family, tmp_path: Path) -> None:
    shelf = Shelf()
    common = ["-ca-bundle", shelf.put("ca", family.root), "-int-bundle", shelf.put("int", family.middle)]
    shelf.put("cert", family.leaf)
    for number, argv in enumerate((["-cert", "cert"], ["-cert", "nofile"], [])):
        place = _sub(tmp_path, number)
        theirs, _ = both(shelf, ["cfssl", "bundle", *argv, *common], place)
        code, out, err = call_ours(("cfssl-bundle", *argv, *common), place / "ours")
        assert code == 0  # always, as CFSSL's
        assert described(out) == theirs[1]
        assert SCRUB[0][0].sub(b"TIME ", err).decode() == theirs[2]


def test_pools_keep_what_is_alive(family: Family, site: Site, tmp_path: Path) -> None:
    issuer = made("Pool CA", ca=True, the_key=key("p256", 61))
    site.pages |= {"/pool/ca.crt": issuer.der, "/pool/crl": _crl(issuer, 7777), "/pool/old": _crl(issuer, 1, days=-9)}
    where: dict[str, Any] = {"issuers_at": (site.url("/pool/ca.crt"),), "hosts": ("x.example",)}
    shelf = Shelf()
    shelf.put("a.pem", family.leaf, family.middle)
    shelf.files["b.pem"] = key_pem(key("p256")) + family.root.pem + b"text after\n"
    shelf.put("dead.pem", made("dead", end=NOW - DAY, start=NOW - 3 * DAY), made("early", start=NOW + DAY))
    shelf.put("listed.pem", made("listed", issuer=issuer, serial=7777, crl_at=(site.url("/pool/crl"),), **where))
    shelf.put("fine.pem", made("fine", issuer=issuer, crl_at=("ldap://x/y", site.url("/pool/crl")), **where))
    shelf.put("lost.pem", made("lost", issuer=issuer, crl_at=(site.url("/pool/none"),), **where))
    shelf.files["text"] = b"text"
    for name, status in (("good", GOOD), ("bad", REVOKED), ("alone", REVOKED)):
        lists = () if name == "alone" else (site.url("/pool/crl"),)
        it = made(name, issuer=issuer, crl_at=lists, ocsp_at=(site.url(f"/pool/{name}/"),), **where)
        site.pages[f"/pool/{name}/"] = answer(it, status, signer=issuer, issuer=issuer)
        shelf.put(f"ocsp-{name}.pem", it)
    results = []
    names = [
        "a.pem",
        "b.pem",
        "dead.pem",
        "listed.pem",
        "fine.pem",
        "lost.pem",
        "ocsp-good.pem",
        "ocsp-bad.pem",
        "text",
    ]
    names += ["ocsp-alone.pem"] if NEWER else []  # 1.2.0 asks no responder about a certificate without a list
    argv = ("-f", "out", "-nw", "2", *names, "nofile")
    for who, call, name in (
        ("theirs", call_real, "mkbundle" if NEWER else "cfssl-mkbundle"),
        ("ours", call_ours, "mkbundle"),
    ):
        place = tmp_path / who
        place.mkdir()
        for file, data in shelf.files.items():
            (place / file).write_bytes(data)
        code, out, err = call((name, *argv), place)
        kept = sorted(re.findall(rb"-----BEGIN.*?-----END CERTIFICATE-----\n", (place / "out").read_bytes(), re.DOTALL))
        lines = [line[20:] for line in err.decode().splitlines()]
        # How a list was of no use, or which one told it, is said in other words.
        other = (
            "fetch CRL",
            "it answers",
            "error checking",
            "Serial number match",
            "certificate is revoked",
            "of date",
        )
        told = sorted(line for line in lines if not any(words in line for words in other))
        results.append((code, out, kept, told))
    theirs, ours = results
    assert len(ours[2]) == 5
    assert ours == theirs


def _crl(issuer: Made, *serials: int, days: int = 9) -> bytes:
    start = NOW - 20 * DAY
    builder = x509.CertificateRevocationListBuilder().issuer_name(issuer.certificate.subject)
    builder = builder.last_update(start).next_update(NOW + days * DAY)
    for serial in serials:
        entry = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(start).build()
        builder = builder.add_revoked_certificate(entry)
    return builder.sign(issuer.key, hashes.SHA256()).public_bytes(Encoding.DER)


SERVED = """set -eu
ip link set lo up
openssl s_server -accept 127.0.0.1:443 -cert leaf -key key -cert_chain middle -quiet >server.log 2>&1 &
server=$!
trap 'kill $server' EXIT
for attempt in $(seq 100); do (exec 3<>/dev/tcp/127.0.0.1/443) 2>/dev/null && break; sleep 0.05; done
for who in theirs ours; do
  cfssl=$REAL/cfssl
  [ $who = theirs ] || cfssl=ours/cfssl
  ask() { name=$1; shift; "$cfssl" "$@" >"$who.$name.out" 2>"$who.$name.err" || echo "$?" >>"$who.$name.err"; }
  ask trusted bundle -domain leaf.example -ip 127.0.0.1 -ca-bundle root
  ask foreign bundle -domain leaf.example -ip 127.0.0.1 -ca-bundle other -int-bundle middle
  ask wrong bundle -domain wrong.example -ip 127.0.0.1 -ca-bundle root
  ask address bundle -domain 127.0.0.1 -ca-bundle root -flavor optimal
  ask force bundle -domain b.example -ip 127.0.0.1 -flavor force
  ask refused bundle -domain leaf.example -ip 127.0.0.2 -ca-bundle root
  ask nowhere certinfo -domain 127.0.0.1:1
  ask port certinfo -domain 127.0.0.1:99999
  ask info certinfo -domain 127.0.0.1
done
"""


def test_a_servers_own_chain(family: Family, tmp_path: Path) -> None:
    """In a network namespace of its own: CFSSL asks port 443 and no other."""
    wide = made("leaf.example", issuer=family.middle, hosts=("leaf.example", "b.example"), the_key=key("p256", 50))
    pem = {"leaf": wide.pem, "key": key_pem(wide.key), "middle": family.middle.pem}
    for name, data in {**pem, "root": family.root.pem, "other": family.other.pem}.items():
        (tmp_path / name).write_bytes(data)
    assert groundplane(["links", str(tmp_path / "ours")]) == 0
    argv = ("unshare", "-n", "env", f"REAL={REAL}", "bash", "-c", SERVED)
    done = subprocess.run(argv, cwd=tmp_path, capture_output=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    names = {path.name.partition(".")[2] for path in tmp_path.glob("theirs.*")}
    assert len(names) == 18
    told: dict[str, Any] = {}
    for name in sorted(names):
        theirs, ours = ((tmp_path / f"{who}.{name}").read_bytes() for who in ("theirs", "ours"))
        told[name] = ours
        if name.partition(".")[0] in {"foreign", "wrong", "address", "force"}:
            # CFSSL asks again without verification then, and Go has no name checked in such a connection.
            assert theirs in {
                b"",
                b'{"code":1200,"message":"tls: handshake did not verify certificate chain"}\n1\n',
            } or (theirs.startswith(b"2") and b"did not verify" in theirs)
        elif name == "trusted.out":
            mine, its = described(ours), described(theirs)
            assert {**mine, "expires": ""} == {**its, "expires": ""}  # see `both`
        elif name == "info.out":  # 1.2.0 leaves out the first zero of an octet in a key's identifier
            short = re.compile(rb'(?<=[":])0(?=[0-9A-F][":])')
            assert short.sub(b"", ours) == short.sub(b"", theirs)
        else:
            assert _scrubbed(ours) == _scrubbed(theirs), name
    assert json.loads(told["trusted.out"])["status"]["messages"][-1].startswith("Unable to measure")
    assert b"1220" in told["foreign.err"]
    assert b"valid for leaf.example, b.example, not wrong.example" in told["wrong.err"]
    assert b"doesn't contain any IP SANs" in told["address.err"]
    forced = json.loads(told["force.out"])
    assert forced["status"]["messages"][-1].startswith("Failed rigid TLS handshake with 127.0.0.1:443: x509: ")
    assert forced["bundle"].count("BEGIN") == 2


def _scrubbed(err: bytes) -> bytes:
    for pattern, replacement in SCRUB:
        err = pattern.sub(replacement, err)
    return err
