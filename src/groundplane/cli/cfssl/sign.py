"""`cfssl sign`, `selfsign` and `info`."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from groundplane.cli.cfssl.context import Context, read_file, read_input, read_prefixed
from groundplane.cli.cfssl.gencert import now, printed, split_hosts
from groundplane.cli.cfssl.store import store_of
from groundplane.pki.cfssl.builtin import BUILTIN
from groundplane.pki.cfssl.errors import Code, Coded, Plain, Quiet
from groundplane.pki.cfssl.generate import key_text, process
from groundplane.pki.cfssl.goencode import compact
from groundplane.pki.cfssl.material import parse_certificate
from groundplane.pki.cfssl.request import read_request, read_subject
from groundplane.pki.cfssl.selfsign import default_profile, self_sign
from groundplane.pki.cfssl.signers import Info, Signers, SignRequest, needs_local, open_signers

if TYPE_CHECKING:
    from groundplane.pki.remote.tls import ClientTLS

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
    subject = None
    if context.arguments:
        subject_path = context.pop()
        context.refuse_more()
        subject = read_subject(read_file(subject_path))
    csr = read_input(path)
    require_ca(context, article="")
    request = SignRequest(
        csr_pem=csr,
        hosts=split_hosts(context.text("hostname")),
        subject=subject,
        profile=context.text("profile"),
        label=context.text("label"),
    )
    with signing(context) as signers:
        cert = signers.sign(request)
    return printed(cert=cert, csr=csr.decode(errors="replace"))


def selfsign(context: Context) -> str:
    """A key, and a certificate that it signs itself. The first argument is only for show, as in CFSSL."""
    if not context.text("hostname"):
        context.pop()
    path = context.pop()
    context.refuse_more()
    request = read_request(read_input(path))
    csr, key = process(request, context.journal)
    config = context.config
    profile = default_profile(BUILTIN) if config is None else config.profile(context.text("profile"))
    cert = self_sign(csr, key, profile, hosts=request.words.hosts, now=now())
    sys.stderr.write(_BANNER)
    return printed(cert=cert, csr=csr.decode(), key=key_text(key))


def info(context: Context) -> str:
    """Who would sign, and how."""
    if context.arguments:
        raise Plain("argument is provided but not defined; please refer to the usage by flag -h.")
    label, profile = context.text("label"), context.text("profile")
    if context.text("remote"):
        found = _asked(context, label, profile)
    elif context.config is not None:
        with signing(context) as signers:
            found = signers.info(label=label, profile=profile)
    else:
        raise Plain("Either -remote or -config must be given. Refer to cfssl info -h for usage.")
    usages = None if found.usages is None else list(found.usages)
    return compact({"certificate": found.certificate, "usages": usages, "expiry": found.expiry})


def _asked(context: Context, label: str, profile: str) -> Info:
    """What -remote says of itself, whatever the policy says. Raises CfsslError."""
    from groundplane.pki.remote.client import open_client
    from groundplane.pki.remote.signers import contexts
    from groundplane.pki.remote.wire import info_json

    tls = contexts(tls_of(context), context.journal, told=False)
    client = open_client(context.text("remote"), tls=tls, journal=context.journal)
    found = client.info(info_json(label=label, profile=profile))
    parse_certificate(found.certificate.encode())
    return found


def require_ca(context: Context, *, article: str) -> None:
    """Without -ca or -ca-key CFSSL only logs an error, and exits 0. Raises Quiet."""
    if context.text("remote") or context.config is not None:
        return
    for flag, what in (("ca", "CA certificate"), ("ca-key", "CA key")):
        if not context.text(flag):
            context.journal.error(f"need {article}{what} (provide one with -{flag})")
            raise Quiet


@contextmanager
def signing(context: Context) -> Iterator[Signers]:
    """Whoever the flags and the policy name; what is signed here is recorded by -db-config. Raises CfsslError."""
    store = store_of(context) if context.text("db-config") else None
    try:
        here = needs_local(context.config, context.text("remote"))
        yield open_signers(
            ca=read_prefixed(context.text("ca")) if here and context.text("ca-key") else None,
            ca_key=_ca_key(context) if here and context.text("ca-key") else None,
            config=context.config,
            clock=now,
            journal=context.journal,
            password=os.environ.get(PASSWORD, "").encode(),
            remote=context.text("remote"),
            tls=tls_of(context),
            database=store,
        )
    finally:
        if store is not None:
            store.close()


def tls_of(context: Context) -> "ClientTLS | None":
    """What the flags say of TLS towards remotes; None if nothing."""
    names = ("tls-remote-ca", "mutual-tls-client-cert", "mutual-tls-client-key")
    if not any(map(context.text, names)):
        return None
    from groundplane.pki.remote.tls import ClientTLS

    trust, certificate, key = map(context.text, names)
    return ClientTLS(trust=trust, certificate=certificate, key=key)


def _ca_key(context: Context) -> bytes:
    try:
        return read_prefixed(context.text("ca-key"))
    except Plain as bad:
        raise Coded(Code.CERTIFICATE_READ, str(bad)) from bad
