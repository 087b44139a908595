"""`cfssl certinfo`: of a certificate or of a request, from a file."""

from groundplane.cli.cfssl.context import Context, read_input
from groundplane.errors import Invalid
from groundplane.pki.cfssl.errors import Code, Coded, Plain
from groundplane.pki.cfssl.goencode import indented


def certinfo(context: Context) -> str:
    """The first of -cert, -csr, -domain and -serial that is given."""
    if context.text("cert"):
        from groundplane.pki.cfssl.certinfo import certificate_info
        from groundplane.pki.cfssl.material import parse_certificate

        certificate = parse_certificate(read_input(context.text("cert")))
        try:
            return indented(certificate_info(certificate)) + "\n"
        except Invalid as odd:
            raise Coded(Code.CERTIFICATE_PARSE) from odd
    if context.text("csr"):
        from groundplane.pki.cfssl.csrinfo import request_info
        from groundplane.pki.cfssl.material import parse_csr

        request = parse_csr(read_input(context.text("csr")), check=False)
        try:
            return indented(request_info(request)) + "\n"
        except Invalid as odd:
            raise Coded(Code.CSR_PARSE) from odd
    if context.text("domain"):
        raise Plain("certinfo -domain is not built into groundplane")
    if context.text("serial") and context.text("aki"):
        raise Plain("certinfo -serial is not built into groundplane")
    raise Plain("Must specify certinfo target through -cert, -csr, -domain or -serial + -aki")
