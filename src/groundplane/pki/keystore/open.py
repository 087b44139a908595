"""One way to a CA's key, wherever it is: a file, encrypted or not, or a key in a security module."""

from pathlib import Path

from groundplane.errors import NotFound
from groundplane.pki.keystore.private import read_key
from groundplane.pki.signer import ByteSigner, LocalSigner


def open_ca_key(spec: str, *, password: bytes | None = None) -> ByteSigner:
    """`spec` is a path, or a `pkcs11:` URI. Raises NotFound, Invalid, Failed."""
    if spec.startswith("pkcs11:"):  # all that is needed for it is loaded then alone
        from groundplane.pki.keystore.pkcs11 import open_signer

        return open_signer(spec)
    path = Path(spec)
    try:
        data = path.read_bytes()
    except OSError as bad:
        raise NotFound(f"cannot be read: {bad.strerror or bad}", to=path, hint="name another file") from bad
    return LocalSigner(read_key(data, source=spec, password=password))
