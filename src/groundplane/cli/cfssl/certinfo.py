"""`cfssl certinfo`: of a certificate or of a request, from a file or a server."""

from contextlib import closing
from typing import TYPE_CHECKING

from groundplane.cli.cfssl.context import Context, read_input
from groundplane.errors import Invalid
from groundplane.pki.cfssl.errors import Code, Coded, Plain
from groundplane.pki.cfssl.goencode import indented

if TYPE_CHECKING:
    from cryptography import x509


def certinfo(context: Context) -> str:
    """The first of -cert, -csr, -domain and -serial that is given."""
    if context.text("cert"):
        from groundplane.pki.cfssl.material import parse_certificate

        return _printed(parse_certificate(read_input(context.text("cert"))))
    if context.text("csr"):
        from groundplane.pki.cfssl.csrinfo import request_info
        from groundplane.pki.cfssl.material import parse_csr

        request = parse_csr(read_input(context.text("csr")), check=False)
        try:
            return indented(request_info(request)) + "\n"
        except ValueError as odd:
            raise Coded(Code.CSR_PARSE) from odd
    if context.text("domain"):
        from groundplane.pki.cfssl.domain import domain_certificate

        return _printed(domain_certificate(context.text("domain")))
    if context.text("serial") and context.text("aki"):
        return _printed(_stored(context))
    raise Plain("Must specify certinfo target through -cert, -csr, -domain or -serial + -aki")


def _stored(context: Context) -> "x509.Certificate":
    if not context.text("db-config"):
        raise Plain("need DB config file (provide with -db-config)")
    from groundplane.cli.cfssl.store import store_of
    from groundplane.pki.cfssl.material import parse_certificate

    with closing(store_of(context)) as store:
        pem = store.find_exactly(context.text("serial"), context.text("aki").lower().replace(":", ""))
    if pem is None:
        raise Plain("no certificate found")
    return parse_certificate(pem.encode())


def _printed(certificate: "x509.Certificate") -> str:
    from groundplane.pki.cfssl.certinfo import certificate_info

    try:
        return indented(certificate_info(certificate)) + "\n"
    except Invalid as odd:
        raise Coded(Code.CERTIFICATE_PARSE) from odd
