"""`groundplane pki verify`: whether a careful client would take this certificate, and if not, why."""

import argparse
import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from groundplane.cli.pki import chain_options
from groundplane.cli.pki.inputs import read
from groundplane.errors import Invalid, NotFound

if TYPE_CHECKING:
    from cryptography import x509

    from groundplane.pki.chain import Link
    from groundplane.pki.chain.verify import Verdict

_WITHIN = 10.0


def configure(parser: argparse.ArgumentParser) -> None:
    """Its arguments."""
    parser.add_argument("cert", type=Path, nargs="?", metavar="CERT", help="leaf first, then what helps; - is stdin")
    parser.add_argument("--connect", default="", metavar="HOST[:PORT]", help="ask a TLS server for its chain instead")
    chain_options.add_password(parser)
    chain_options.configure(parser)
    parser.add_argument("--purpose", choices=("any", "server", "client"), default="any", help="default any")
    parser.add_argument("--at", type=_date, metavar="DATE", help="as if it were that time (RFC 3339)")
    parser.add_argument(
        "--revocation",
        choices=("off", "soft", "hard"),
        default="soft",
        help="do not ask; bear it if nobody can tell (default); refuse it then",
    )
    parser.add_argument("--crl", type=Path, action="append", default=[], metavar="FILE", help="a CRL at hand")
    parser.add_argument("-o", "--output", choices=("text", "json"), default="text")


def run(arguments: argparse.Namespace) -> int:
    """0 if it holds; otherwise why not, and the exit code of an invalid input."""
    from groundplane.pki.chain import ChainRefused, Purpose
    from groundplane.pki.chain.revocation import Revocations
    from groundplane.pki.chain.verify import Question, Strictness, verify

    given, host = _given(arguments)
    at = arguments.at or datetime.now(UTC)
    fetcher = chain_options.fetcher_of(arguments)
    trust = chain_options.trust_of(arguments, fetcher)
    purposes = {"any": Purpose.ANY, "server": Purpose.SERVER, "client": Purpose.CLIENT}
    question = Question(host=host, purpose=purposes[arguments.purpose], strictness=Strictness(arguments.revocation))
    revocations = Revocations(fetcher=fetcher, lists=_lists(arguments.crl), clock=lambda: at)
    try:
        verdict = verify(given, trust, question, at=at, revocations=revocations)
    except ChainRefused as refused:
        if arguments.output == "text":
            raise
        reason = refused.reason.name.lower()
        told = {"valid": False, "reason": reason, "message": refused.happened, "certificate": str(refused.to)}
        sys.stdout.write(json.dumps(told, indent=2) + "\n")
        return refused.kind.exit_code
    sys.stdout.write(_json(verdict) if arguments.output == "json" else _text(verdict))
    return 0


def _given(arguments: argparse.Namespace) -> "tuple[tuple[Link, ...], str]":
    """The certificates, and the host that they shall be for."""
    from groundplane.pki.chain import read_material

    if (arguments.cert is None) == (not arguments.connect):
        raise Invalid("what shall be verified?", to="command line", hint="give a file, or --connect HOST")
    if arguments.cert is not None:
        password = chain_options.password_of(arguments)
        data = read(arguments.cert)
        return read_material(data, source=str(arguments.cert), password=password).certificates, arguments.host
    from groundplane.pki.chain.peer import peer_certificates, split_address

    host, port = split_address(arguments.connect, default=443)
    name = arguments.host or host
    shown = peer_certificates(host, port, server_name=name, within=_WITHIN)
    if not shown:
        raise NotFound("the server shows no certificate", to=arguments.connect)
    return shown, name


def _lists(paths: list[Path]) -> "tuple[x509.CertificateRevocationList, ...]":
    from groundplane.pki.chain.revocation import load_crl

    found = []
    for path in paths:
        try:
            found.append(load_crl(read(path)))
        except ValueError as bad:
            raise Invalid("this is no revocation list", to=path, hint="give a CRL in PEM or DER") from bad
    return tuple(found)


def _text(verdict: "Verdict") -> str:
    lines = []
    for place, it in enumerate(verdict.chain):
        root = place == len(verdict.chain) - 1
        found = verdict.findings[place] if place < len(verdict.findings) else None
        about = "a trusted root" if root else f"until {it.not_after:%F}" + (f", {found}" if found is not None else "")
        lines.append(f"{'  ' * place}{it.title}: {about}")
    return "\n".join(lines) + "\n"


def _json(verdict: "Verdict") -> str:
    chain: list[dict[str, Any]] = []
    for place, it in enumerate(verdict.chain):
        found = verdict.findings[place] if place < len(verdict.findings) else None
        chain.append(
            {
                "subject": it.certificate.subject.rfc4514_string(),
                "issuer": it.certificate.issuer.rfc4514_string(),
                "serial_number": str(it.certificate.serial_number),
                "not_before": f"{it.not_before:%Y-%m-%dT%H:%M:%SZ}",
                "not_after": f"{it.not_after:%Y-%m-%dT%H:%M:%SZ}",
                "revocation": None
                if found is None
                else {"standing": found.standing.value, "source": found.source, "why": found.why},
            }
        )
    return json.dumps({"valid": True, "chain": chain}, indent=2) + "\n"


def _date(text: str) -> datetime:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a date such as 2027-01-31T12:00:00Z") from None
    return at if at.tzinfo is not None else at.replace(tzinfo=UTC)
