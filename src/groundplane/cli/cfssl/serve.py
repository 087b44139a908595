"""`cfssl serve`: CFSSL's HTTP API, in as many processes as there are processors."""

import os

from groundplane.cli.cfssl.context import Context
from groundplane.cli.cfssl.sign import PASSWORD
from groundplane.pki.cfssl.errors import Plain
from groundplane.pki.cfssl.journal import Journal

_TEXTS = (
    *("address", "ca", "ca-key", "config", "remote", "tls-remote-ca", "mutual-tls-client-cert"),
    *("mutual-tls-client-key", "ca-bundle", "int-bundle", "int-dir", "metadata", "responder", "interval"),
    *("db-config", "tls-cert", "tls-key", "mutual-tls-ca", "mutual-tls-cn", "min-tls-version", "disable"),
)


def serve(context: Context) -> str:
    """Until a signal says otherwise."""
    if context.arguments:
        raise Plain("argument is provided but not defined; please refer to the usage by flag -h")
    from groundplane.pki.server.log import Lines, LocalClock
    from groundplane.pki.server.run import run
    from groundplane.pki.server.settings import Settings

    texts = {name.replace("-", "_"): context.text(name) for name in _TEXTS}
    port = context.values["port"]
    settings = Settings(
        **texts,  # type: ignore[arg-type] # texts all, by _TEXTS
        port=port if isinstance(port, int) else 0,
        responder_key=context.text("responder-key") or context.text("key"),
        ca_password=os.environ.get(PASSWORD, "").encode(),
    )
    lines = Lines()
    run(settings, journal=Journal(write=lines.write, clock=LocalClock(), least=context.journal.least), lines=lines)
    return ""
