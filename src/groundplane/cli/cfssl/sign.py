"""`cfssl sign`, `selfsign` and `info`."""

import os
import sys

from groundplane.cli.cfssl.context import Context, read_file, read_input, read_prefixed
from groundplane.cli.cfssl.gencert import now, printed, split_hosts
from groundplane.cli.cfssl.store import recording
from groundplane.pki.cfssl.builtin import BUILTIN
from groundplane.pki.cfssl.errors import Code, Coded, Plain, Quiet
from groundplane.pki.cfssl.generate import key_text, process
from groundplane.pki.cfssl.goencode import compact
from groundplane.pki.cfssl.material import pem_of
from groundplane.pki.cfssl.request import read_request, read_subject
from groundplane.pki.cfssl.selfsign import default_profile, self_sign
from groundplane.pki.cfssl.sign import Issuer, open_issuer
from groundplane.pki.model import Profile

PASSWORD = "CFSSL_CA_PK_PASSWORD"  # noqa: S105 - the variable's name
_BANNER = """\
*** WARNING ***

Nobody can check a certificate that signed itself. Use it where
nothing is at stake, and nowhere that others rely on.

*** WARNING ***

"""


def sign(context: Context) -> str:
    """A request, signed."""
    path = context.text("csr") or context.pop()
    csr = read_input(path)
    subject = read_subject(read_file(context.pop())) if context.arguments else None
    require_ca(context, article="")
    with recording(context) as record:
        issuer = issuer_of(context)
        hosts = split_hosts(context.text("hostname"))
        cert = issuer.sign(csr, profile_of(context), hosts=hosts, subject=subject)
        record(cert)
    return printed(cert=cert, csr=csr.decode(errors="replace"))


def selfsign(context: Context) -> str:
    """A key, and a certificate that it signs itself. The first argument is only for show, as in CFSSL."""
    if not context.text("hostname"):
        context.pop()
    request = read_request(read_input(context.pop()))
    csr, key = process(request, context.journal)
    config = context.config
    profile = default_profile(BUILTIN) if config is None else config.profile(context.text("profile"))
    cert = self_sign(csr, key, profile, hosts=request.words.hosts, now=now())
    sys.stderr.write(_BANNER)
    return printed(cert=cert, csr=csr.decode(), key=key_text(key))


def info(context: Context) -> str:
    """Who would sign, and how."""
    if context.text("remote"):
        raise Plain(_NO_REMOTES)
    if context.config is None:
        raise Plain("Either -remote or -config must be given. Refer to cfssl info -h for usage.")
    if not context.text("ca") or not context.text("ca-key"):
        raise Coded(Code.KEY_UNKNOWN)
    issuer = issuer_of(context)
    assert issuer.certificate is not None
    written = context.config.written(context.text("profile"))
    fields = {
        "certificate": pem_of(issuer.certificate).rstrip("\n"),
        "usages": written.get("usages"),
        "expiry": written.get("expiry", ""),
    }
    return compact(fields)


_NO_REMOTES = "signing at a remote is not built into groundplane"


def require_ca(context: Context, *, article: str) -> None:
    """Without -ca or -ca-key CFSSL only logs an error, and exits 0. Raises Quiet, or Plain for a remote."""
    if context.text("remote"):
        raise Plain(_NO_REMOTES)
    if context.config is not None:
        return
    for flag, what in (("ca", "CA certificate"), ("ca-key", "CA key")):
        if not context.text(flag):
            context.journal.error(f"need {article}{what} (provide one with -{flag})")
            raise Quiet


def issuer_of(context: Context) -> Issuer:
    """The CA that -ca and -ca-key name. Raises CfsslError."""
    if not context.text("ca") or not context.text("ca-key"):
        raise Coded(Code.KEY_UNKNOWN)
    certificate = read_prefixed(context.text("ca"))
    try:
        key = read_prefixed(context.text("ca-key"))
    except Plain as bad:
        raise Coded(Code.CERTIFICATE_READ, str(bad)) from bad
    password = os.environ.get(PASSWORD, "").encode()
    return open_issuer(certificate, key, password=password, clock=now, journal=context.journal)


def profile_of(context: Context) -> Profile:
    """The profile that -profile names; the default's for one that is not known. Raises CfsslError."""
    if context.config is None:
        return BUILTIN
    profile = context.config.profile(context.text("profile"))
    unbuilt = [name for name in profile.unbuilt if name not in {"remote", "auth_remote"}]
    if unbuilt:
        raise Plain(f"{', '.join(unbuilt)}: not built into groundplane")
    return profile
