"""`cfssl bundle`: the chain of a certificate, from a file or from a server."""

from pathlib import Path

from groundplane.cli.cfssl.context import Context, go_error, read_input
from groundplane.pki.cfssl.bundle import Bundler, document, forcing_bundler, open_bundler
from groundplane.pki.cfssl.errors import Code, Coded, Plain
from groundplane.pki.cfssl.goencode import compact
from groundplane.pki.chain.model import Flavor


def bundle(context: Context) -> str:
    """-cert before -domain."""
    flavor, key = context.text("flavor"), context.text("key")
    bundler = _forcing(context) if flavor == Flavor.FORCE.value else _bundler(context)
    if (path := context.text("cert")) == "-":
        made = bundler.of_bytes(read_input(path), read_input(key) if key else b"", flavor=flavor)
    elif path:
        certificates = _read(path, Code.CERTIFICATE_READ)
        key_pem = _read(key, Code.KEY_READ) if key else b""
        if key and not key_pem:
            raise Coded(Code.KEY_DECODE)
        made = bundler.of_bytes(certificates, key_pem, flavor=flavor, password=context.text("password"))
    elif name := context.text("domain"):
        made = bundler.of_peer(name, context.text("ip"), flavor=flavor)
    else:
        raise Plain("Must specify bundle target through -cert or -domain")
    return compact(document(made))


def _forcing(context: Context) -> Bundler:
    return forcing_bundler(context.journal, metadata=context.text("metadata"))


def _bundler(context: Context) -> Bundler:
    return open_bundler(
        ca_bundle=context.text("ca-bundle"),
        int_bundle=context.text("int-bundle"),
        int_dir=context.text("int-dir"),
        metadata=context.text("metadata"),
        journal=context.journal,
    )


def _read(name: str, code: Code) -> bytes:
    try:
        return Path(name).read_bytes()
    except OSError as bad:
        verb = "read" if isinstance(bad, IsADirectoryError) else "open"
        raise Coded(code, go_error(verb, name, bad)) from bad
