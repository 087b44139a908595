"""CFSSL's bundler: its log lines, its codes, and the JSON object of a bundle."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from groundplane.errors import GroundplaneError, Unavailable
from groundplane.pki.cfssl.certinfo import algorithm_name
from groundplane.pki.cfssl.errors import Code, Coded, coded
from groundplane.pki.cfssl.generate import key_text
from groundplane.pki.cfssl.goname import short, slashed
from groundplane.pki.cfssl.journal import Journal
from groundplane.pki.cfssl.material import parse_key
from groundplane.pki.chain.build import Pool, chains_of
from groundplane.pki.chain.bundle import Bundle, assemble
from groundplane.pki.chain.fetch import Fetcher, Limits
from groundplane.pki.chain.hostname import check_host
from groundplane.pki.chain.link import Link, key_words
from groundplane.pki.chain.model import ChainRefused, Flavor, Purpose, Reason
from groundplane.pki.chain.peer import peer_certificates
from groundplane.pki.chain.platforms import load_platforms
from groundplane.pki.chain.read import Unreadable, read_material, read_pem
from groundplane.pki.chain.trust import Trust, system_roots
from groundplane.pki.keys import PrivateKey

_PORT = 443
_DIAL_WITHIN = 5.0
_ED25519_BYTES = 32
_CODES = {
    Reason.UNKNOWN_AUTHORITY: Code.UNKNOWN_AUTHORITY,
    Reason.OTHER: Code.VERIFY,
    Reason.SELF_SIGNED: Code.SELF_SIGNED,
    Reason.KEY_MISMATCH: Code.KEY_MISMATCH,
    Reason.KEY_KIND: Code.KEY_KIND,
}


@dataclass(slots=True, kw_only=True)
class Bundler:
    """Makes bundles with one trust; what it learns of intermediates serves the next. Safe for several threads."""

    trust: Trust
    journal: Journal
    clock: Callable[[], datetime]

    def bundle(self, certificates: tuple[Link, ...], key: PrivateKey | None, flavor: str) -> Bundle:
        """Of certificates as they were given. Raises Coded."""
        self.journal.info(f"bundling certificate for {short(certificates[0].subject)}")
        chosen = Flavor(flavor) if flavor in {each.value for each in Flavor} else None
        try:
            made = assemble(
                certificates,
                self.trust,
                flavor=chosen or Flavor.UBIQUITOUS,
                at=self.clock(),
                key=key,
                journal=self.journal,
            )
        except ChainRefused as refused:
            raise _coded(refused) from refused
        if chosen is Flavor.UBIQUITOUS and not self.trust.platforms:
            self.journal.warning("No metadata, Ubiquitous falls back to Optimal.")
        if made.root is not None:
            self.journal.info(f"the anchoring root is {short(made.root.subject)}")
        return made

    def of_bytes(self, data: bytes, key: bytes, *, flavor: str, password: str = "", key_stores: bool = True) -> Bundle:
        """Of a file's content, PEM or DER, with a key in PEM or none. Raises Coded."""
        given = parse_key(key) if key else None
        try:
            material = read_material(data, source="certificate", password=password, key_stores=key_stores)
        except GroundplaneError as bad:
            raise Coded(_code_of(bad)) from bad
        return self.bundle(material.certificates, given or material.key, flavor)

    def of_peer(self, name: str, address: str, *, flavor: str) -> Bundle:
        """Of what a server shows at port 443; `address` is where it is, if not where `name` says. Raises Coded."""
        place = f"{address or name}:{_PORT}"
        try:
            shown = peer_certificates(address or name, _PORT, server_name=name, within=_DIAL_WITHIN)
        except Unavailable as bad:
            raise Coded(Code.DIAL, bad.happened) from bad
        except GroundplaneError as bad:
            raise Coded(_code_of(bad)) from bad
        if not shown:
            raise Coded(Code.DIAL, "received no server certificates")
        trouble = self._trouble_of(shown, name)
        _check(shown[0], name)
        made = self.bundle(shown, None, flavor)
        if not trouble:
            return made
        return _with_message(made, f"Failed rigid TLS handshake with {place}: {trouble}")

    def of_certificate(self, certificate: bytes, key: bytes, *, flavor: str, name: str, address: str) -> dict[str, Any]:
        """For the API: the document of a PEM certificate, whose names are checked if any are given. Raises Coded."""
        made = self.of_bytes(certificate, key, flavor=flavor, key_stores=False)
        for wanted in filter(None, (name, address)):
            _check(made.leaf, wanted)
        return document(made)

    def of_server(self, name: str, address: str, *, flavor: str) -> dict[str, Any]:
        """For the API: the document of what a server shows. Raises Coded."""
        return document(self.of_peer(name, address, flavor=flavor))

    def _trouble_of(self, shown: tuple[Link, ...], name: str) -> str:
        """What a strict client would say of it."""
        try:
            chains_of(
                shown[0],
                roots=self.trust.roots,
                intermediates=Pool(shown[1:]),
                at=self.clock(),
                purpose=Purpose.SERVER,
            )
            check_host(shown[0], name)
        except ChainRefused as refused:
            return refused.happened
        return ""


def open_bundler(
    *,
    ca_bundle: str,
    int_bundle: str,
    int_dir: str,
    metadata: str,
    journal: Journal,
    limits: Limits | None = None,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Bundler:
    """From the files of CFSSL's flags; without `ca_bundle` the system's roots. Raises Coded."""
    stash = Path(int_dir) if int_dir else None
    trust = Trust(roots=Pool(), fetcher=Fetcher(limits or Limits()), stash=stash)
    trust.platforms = _platforms(metadata, journal)
    roots = _read(ca_bundle, "root", Code.ROOT_READ, journal)
    intermediates = _read(int_bundle, "intermediate", Code.INTERMEDIATE_READ, journal)
    if stash is not None:
        _make(stash, journal)
    if roots is None:
        trust.roots = system_roots()
    else:
        trust.roots = Pool(_parsed(roots, "root", Code.ROOT_PARSE, journal))
    trust.intermediates = Pool(_parsed(intermediates or b"", "intermediate", Code.INTERMEDIATE_PARSE, journal))
    return Bundler(trust=trust, journal=journal, clock=clock)


def forcing_bundler(
    journal: Journal, *, metadata: str = "", clock: Callable[[], datetime] = lambda: datetime.now(UTC)
) -> Bundler:
    """One that only checks that certificates are in a row: it needs no files."""
    trust = Trust(roots=Pool(), platforms=_platforms(metadata, journal))
    return Bundler(trust=trust, journal=journal, clock=clock)


def document(made: Bundle) -> dict[str, Any]:
    """The JSON object of a bundle, its keys in order."""
    leaf = made.leaf.certificate
    dns = made.leaf.names.dns if made.leaf.names is not None else ()
    kind = key_words(made.leaf)
    advice = made.advice
    size = _ED25519_BYTES if kind.kind == "Ed25519" else kind.bits
    return {
        "bundle": made.pem.strip(),
        "crl_support": bool(made.leaf.crl_urls),
        "crt": made.leaf.pem.strip(),
        "expires": _date(made.expires),
        "hostnames": list(dict.fromkeys((*filter(None, (made.leaf.common_name,)), *dns))),
        "issuer": slashed(made.leaf.issuer),
        "key": "" if made.key is None else key_text(made.key).strip(),
        "key_size": size,
        "key_type": f"{size}-bit {kind.kind}" if kind.kind in {"RSA", "ECDSA"} else kind.kind or "Unknown",
        "leaf_expires": _date(made.leaf.not_after),
        "ocsp": list(made.leaf.ocsp_urls) or None,
        "ocsp_support": bool(made.leaf.ocsp_urls),
        "root": "" if made.root is None else made.root.pem.strip(),
        "signature": algorithm_name(leaf),
        "status": {
            "rebundled": advice.rebundled,
            "expiring_SKIs": list(advice.expiring) or None,
            "untrusted_root_stores": None if advice.untrusted is None else list(advice.untrusted),
            "messages": list(advice.messages) or None,
            "code": advice.code,
        },
        "subject": slashed(made.leaf.subject),
    }


def _date(date: datetime) -> str:
    return f"{date:%Y-%m-%dT%H:%M:%SZ}"


def _with_message(made: Bundle, message: str) -> Bundle:
    from dataclasses import replace

    return replace(made, advice=replace(made.advice, messages=(*made.advice.messages, message)))


def _check(leaf: Link, name: str) -> None:
    try:
        check_host(leaf, name)
    except ChainRefused as refused:
        raise _coded(refused) from refused


def _coded(refused: ChainRefused) -> Coded:
    code = _CODES.get(refused.reason) or coded(Code.VERIFY.number + 10 + refused.reason.value)
    return Coded(code, refused.happened)


def _code_of(bad: GroundplaneError) -> Code:
    return Code.CERTIFICATE_DECODE if isinstance(bad, Unreadable) and not bad.found else Code.CERTIFICATE_PARSE


def _read(name: str, what: str, code: Code, journal: Journal) -> bytes | None:
    if not name:
        return None
    try:
        return Path(name).read_bytes()
    except OSError as bad:
        words = (
            f"{'read' if isinstance(bad, IsADirectoryError) else 'open'} {name}: {(bad.strerror or str(bad)).lower()}"
        )
        journal.error(f"{what} bundle failed to load: {words}")
        raise Coded(code, words) from bad


def _parsed(data: bytes, what: str, code: Code, journal: Journal) -> tuple[Link, ...]:
    try:
        return read_pem(data, source=f"{what} bundle")
    except GroundplaneError as bad:
        journal.error(f"failed to parse {what} bundle: {Coded(_code_of(bad))}")
        raise Coded(code) from bad


def _make(stash: Path, journal: Journal) -> None:
    if stash.exists():
        return
    journal.info(f"intermediate stash directory {stash} doesn't exist, creating")
    try:
        stash.mkdir(parents=True, mode=0o755)
    except OSError as bad:
        journal.error(f"failed to create intermediate stash directory {stash}: {bad.strerror or bad}")
        raise Coded(Code.INTERMEDIATE_READ, f"mkdir {stash}: {(bad.strerror or str(bad)).lower()}") from bad
    journal.info(f"intermediate stash directory {stash} created")


def _platforms(metadata: str, journal: Journal) -> tuple[Any, ...]:
    """CFSSL goes on without metadata if there is something wrong with it."""
    if not metadata:
        return ()
    try:
        platforms = load_platforms(Path(metadata))
    except GroundplaneError:
        return ()  # as it does: every message about trust says then that there is none
    for platform in platforms:
        journal.info(f"Platform metadata is loaded: {platform.name} {len(platform.roots)}")
    return platforms
