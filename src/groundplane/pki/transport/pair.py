"""A transport's key and certificate: on disk, if it has paths, and always in memory."""

import os
import ssl
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from groundplane.errors import Invalid, NotFound
from groundplane.pki import keys
from groundplane.pki.files import PairPaths, write_pair
from groundplane.pki.seen import load_certificate
from groundplane.pki.transport.model import Paths
from groundplane.system import files


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A key, and the certificate for it once there is one."""

    key: keys.PrivateKey = field(repr=False)
    certificate: x509.Certificate | None = None

    def show_in(self, context: ssl.SSLContext) -> None:
        """Let a context show it to others, from its next connection on.

        OpenSSL takes files only; this one is in memory, so that key and certificate always belong together.
        """
        if self.certificate is None:
            return
        fd = os.memfd_create("pair", os.MFD_CLOEXEC)
        with os.fdopen(fd, "wb") as out:
            out.write(self.certificate.public_bytes(Encoding.PEM) + keys.dump_key(self.key))
            out.flush()
            context.load_cert_chain(f"/proc/self/fd/{fd}")


def read_pair(paths: Paths | None) -> Pair | None:
    """What is there; a certificate that is not for the key, or cannot be read, is as if it were not there.

    Raises Invalid for a key that cannot be used: it is not replaced. NotFound for a file that may not be read.
    """
    if paths is None:
        return None
    key_pem, pem = (_read(Path(name)) for name in (paths.private_key, paths.certificate))
    if key_pem is None:
        return None
    key = keys.load_key(key_pem, source=paths.private_key)
    if pem is None:
        return Pair(key=key)
    try:
        certificate = load_certificate(pem, source=paths.certificate)
    except Invalid:
        return Pair(key=key)
    theirs = certificate.public_key()
    fits = isinstance(theirs, keys.PublicKey) and keys.public_bytes(theirs) == keys.public_bytes(key.public_key())
    return Pair(key=key, certificate=certificate if fits else None)


def store_pair(pair: Pair, paths: Paths | None) -> None:
    """The key 0600, the certificate 0644, each whole. Raises NotFound."""
    if paths is None or pair.certificate is None:
        return
    where = PairPaths(certificate=Path(paths.certificate), key=Path(paths.private_key))
    pem = pair.certificate.public_bytes(Encoding.PEM)
    try:
        # A key that is there already stays as it is: another process may be using it.
        if files.read_optional(where.key) is not None:
            where.key.chmod(files.PRIVATE)
            files.replace(where.certificate, pem, mode=files.PUBLIC)
            return
        write_pair(where, certificate_pem=pem, key_pem=keys.dump_key(pair.key))
    except OSError as bad:
        hint = "make the directory, and let us write there"
        raise NotFound(f"it cannot be written: {bad.strerror or bad}", to=where.certificate, hint=hint) from bad


def _read(path: Path) -> bytes | None:
    try:
        return files.read_optional(path)
    except OSError as bad:
        raise NotFound(f"it cannot be read: {bad.strerror or bad}", to=path, hint="mend its permissions") from bad
