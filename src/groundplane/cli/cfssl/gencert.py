"""`cfssl gencert`, `genkey` and `gencsr`: everything that begins with a CSR JSON."""

from dataclasses import replace
from datetime import UTC, datetime

from groundplane.cli.cfssl.context import Context, read_input, read_prefixed
from groundplane.pki.cfssl.errors import CfsslError, Plain
from groundplane.pki.cfssl.generate import NO_HOSTS, encode, key_text, process
from groundplane.pki.cfssl.goencode import compact
from groundplane.pki.cfssl.material import parse_certificate, parse_key
from groundplane.pki.cfssl.request import Request, read_request
from groundplane.pki.cfssl.root import new_root, renew_root, root_of_key
from groundplane.pki.model import CertificateRequest


def now() -> datetime:
    """The time, in UTC."""
    return datetime.now(UTC)


def printed(*, cert: str = "", csr: str = "", key: str = "") -> str:
    """What there is, as one line of JSON."""
    fields = {"cert": cert, "csr": csr, "key": key}
    return compact({name: text for name, text in fields.items() if text}) + "\n"


def gencert(context: Context) -> str:
    """A root, a root again, or a leaf."""
    if context.on("renewca"):
        return _renew(context)
    request = _request(context)
    if context.text("cn"):
        request = replace(request, words=replace(request.words, common_name=context.text("cn")))
    if context.on("initca"):
        return _root(context, request)
    if request.ca is not None:
        raise Plain("ca section only permitted in initca")
    from groundplane.cli.cfssl.sign import require_ca, signing
    from groundplane.pki.cfssl.signers import SignRequest

    hosts = split_hosts(context.text("hostname"))
    if hosts is not None:
        request = replace(request, words=replace(request.words, hosts=hosts))
    require_ca(context, article="a ")
    csr, key = process(request, context.journal)
    with signing(context) as signers:
        cert = signers.sign(
            SignRequest(
                csr_pem=csr,
                hosts=hosts,
                profile=context.text("profile"),
                label=context.text("label"),
                crl_override=context.text("crl"),
            )
        )
    if not request.words.hosts:
        context.journal.warning(NO_HOSTS)
    return printed(cert=cert, csr=csr.decode(), key=key_text(key))


def genkey(context: Context) -> str:
    """A key and a request; with -initca a root."""
    request = _request(context)
    if context.on("initca"):
        cert, csr, key = new_root(request, context.journal, now)
        return printed(cert=cert, csr=csr.decode(), key=key_text(key))
    if request.ca is not None:
        raise Plain("ca section only permitted in initca")
    csr, key = process(request, context.journal)
    return printed(csr=csr.decode(), key=key_text(key))


def gencsr(context: Context) -> str:
    """A request for a key that exists, from a CSR JSON or a certificate."""
    if not context.text("key"):
        raise Plain("private key file is required through '-key', please check with usage")
    pem = read_prefixed(context.text("key"))
    key = parse_key(pem)
    request = _from_certificate(context) if context.text("cert") else _request(context)
    hosts = split_hosts(context.text("hostname"))
    if hosts is not None:
        request = replace(request, words=replace(request.words, hosts=hosts))
    return printed(csr=encode(request, key, context.journal).decode(), key=pem.decode(errors="replace"))


def split_hosts(text: str) -> tuple[str, ...] | None:
    """-hostname's names, blanks and all; None if there are none."""
    return tuple(text.split(",")) if text else None


def _request(context: Context) -> Request:
    name = context.pop()
    if context.arguments:
        raise Plain("only one argument is accepted, please check with usage")
    return read_request(read_input(name))


def _from_certificate(context: Context) -> Request:
    from groundplane.pki.cfssl.root import names_of_subject
    from groundplane.pki.seen import see

    seen = see(parse_certificate(read_prefixed(context.text("cert"))), source=context.text("cert"))
    names, serial = names_of_subject(seen.subject)
    words = CertificateRequest(
        common_name=seen.subject.common_name, names=names, hosts=seen.names.texts(), serial_number=serial
    )
    return Request(words=words)


def _root(context: Context, request: Request) -> str:
    journal = context.journal
    if not context.text("ca-key"):
        journal.info("generating a new CA key and certificate from CSR")
        cert, csr, key = new_root(request, journal, now)
        return printed(cert=cert, csr=csr.decode(), key=key_text(key))
    journal.info("re-generate a CA certificate from CSR and CA key")
    try:
        existing = parse_key(read_prefixed(context.text("ca-key")))
        cert, csr = root_of_key(request, existing, journal, now)
    except CfsslError as bad:
        journal.error(str(bad))
        raise
    return printed(cert=cert, csr=csr.decode())


def _renew(context: Context) -> str:
    journal = context.journal
    journal.info("re-generate a CA certificate from CA cert and key")
    try:
        certificate = parse_certificate(read_prefixed(context.text("ca")))
        key = parse_key(read_prefixed(context.text("ca-key")))
        return printed(cert=renew_root(certificate, key, journal, now))
    except CfsslError as bad:
        journal.error(str(bad))
        raise
