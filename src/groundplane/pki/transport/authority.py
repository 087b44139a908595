"""The CFSSL server that signs for a transport: which one, and with which token.

A label first looks up `LABEL.json`, a policy of CFSSL's, whose profile may name the remote and the key. Whoever is
asked without a key, and without a certificate of ours, has to be on this machine.
"""

import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import TypeVar

from cryptography import x509

from groundplane.errors import Denied, Failed
from groundplane.observe import logger
from groundplane.pki.cfssl.config import Config, load_config
from groundplane.pki.cfssl.errors import CfsslError
from groundplane.pki.cfssl.journal import Journal
from groundplane.pki.cfssl.signers import SignRequest
from groundplane.pki.cfssl.tokens import keys_of, read_key
from groundplane.pki.remote.client import Client, open_client
from groundplane.pki.remote.signers import contexts
from groundplane.pki.remote.tls import ClientTLS
from groundplane.pki.remote.wire import info_json, request_json
from groundplane.pki.seen import load_certificate
from groundplane.pki.transport.model import Access
from groundplane.system.clock import SystemClock

LABEL_DIRECTORIES = (Path("/usr/local/cfssl"), Path("/etc/cfssl"), Path("/state/etc/cfssl"))
_log = logger("pki-transport")
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Authority:
    """A server, and how to ask it."""

    client: Client
    access: Access
    key: bytes | None = field(default=None, repr=False)

    def sign(self, csr_pem: bytes, hosts: Sequence[str]) -> x509.Certificate:
        """The certificate for a request. Raises Denied, Failed."""
        self._check_place()
        request = SignRequest(csr_pem=csr_pem, hosts=tuple(hosts), profile=self.access.profile, label=self.access.label)
        made = _asked(self.access, lambda: self.client.sign(request_json(request), key=self.key))
        return load_certificate(made.encode(), source=self.access.remote or self.access.label)

    def certificate(self) -> x509.Certificate:
        """The server's own CA. Raises Failed."""
        asked = info_json(label=self.access.label, profile=self.access.profile)
        found = _asked(self.access, lambda: self.client.info(asked))
        return load_certificate(found.certificate.encode(), source=self.access.remote)

    def _check_place(self) -> None:
        if self.key is not None:
            return
        for address in self.client.addresses:
            if address.secure and self.access.certificate:
                continue
            if not all(map(_is_here, _addresses(address.host))):
                hint = "add auth-type and auth-key, or https and a certificate of ours"
                raise Denied("a server that is not on this machine needs to know who asks", to=address.host, hint=hint)


def open_authority(access: Access, *, directories: Sequence[Path] = LABEL_DIRECTORIES) -> Authority:
    """Raises Failed for keys, files or addresses that cannot be used."""
    journal = Journal(write=_told, clock=SystemClock().now)

    def make() -> Authority:
        remote, key = access.remote, read_key(access.auth_key) if access.auth_key else None
        if (policy := _policy(access.label, directories)) is not None:
            known = not access.profile or access.profile in policy.profiles
            found = policy.remote(access.profile) if known else None
            remote = remote if found is None else found.address
            keys = keys_of(policy).get(access.profile, ()) if known else ()
            if found is not None and (own := policy.remote_key(access.profile)):
                keys = (read_key(own),)
            key = keys[0] if keys else key
        tls = ClientTLS(trust=access.trust, certificate=access.certificate, key=access.key)
        client = open_client(remote, tls=contexts(tls, journal, told=False), journal=journal)
        return Authority(client=client, access=access, key=key)

    return _asked(access, make)


def _policy(label: str, directories: Sequence[Path]) -> Config | None:
    """The first policy of that label that can be read, as CFSSL does it."""
    if not label or "/" in label or "\0" in label:
        return None
    for directory in directories:
        path = directory / f"{label}.json"
        try:
            return load_config(path.read_bytes(), source=str(path))
        except (OSError, CfsslError) as bad:
            if path.exists():
                _log.warning("this policy cannot be used", path=str(path), error=str(bad))
    return None


def _asked(access: Access, ask: Callable[[], T]) -> T:
    try:
        return ask()
    except CfsslError as bad:
        hint = "is it there, and may we ask it for this?"
        raise Failed(
            f"the server did not answer as wanted: {bad}", to=access.remote or access.label, hint=hint
        ) from bad


def _addresses(host: str) -> list[str]:
    try:
        return [str(found[4][0]) for found in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)]
    except (OSError, UnicodeError) as unknown:
        raise Failed(f"its address is not known: {unknown}", to=host, hint="mend the name") from unknown


def _is_here(address: str) -> bool:
    return ip_address(address.partition("%")[0]).is_loopback


def _told(line: str) -> None:
    """CFSSL's lines about a remote become events of ours."""
    _log.warning(line.partition("] ")[2].rstrip("\n"))
