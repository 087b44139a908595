"""What `cfssl serve` is told: its flags, by name."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Empty text: not given. Files are named, not read: a reload reads them again.

    `native`: read as groundplane's own commands do: keys also from tokens, policy and db-config strictly, also YAML.
    `fetch_from`: hosts that missing issuers may be fetched from; None: any, as in CFSSL.
    """

    address: str = "127.0.0.1"
    port: int = 8888
    ca: str = ""
    ca_key: str = ""
    ca_password: bytes = b""
    config: str = ""
    remote: str = ""
    tls_remote_ca: str = ""
    mutual_tls_client_cert: str = ""
    mutual_tls_client_key: str = ""
    ca_bundle: str = ""
    int_bundle: str = ""
    int_dir: str = ""
    metadata: str = ""
    responder: str = ""
    responder_key: str = ""
    interval: str = "96h0m0s"
    db_config: str = ""
    tls_cert: str = ""
    tls_key: str = ""
    mutual_tls_ca: str = ""
    mutual_tls_cn: str = ""
    min_tls_version: str = ""
    disable: str = ""
    native: bool = False
    fetch_from: "frozenset[str] | None" = None

    @property
    def secured(self) -> bool:
        """Whether it speaks TLS."""
        return bool(self.tls_cert and self.tls_key)

    @property
    def mutual(self) -> bool:
        """Whether its clients need certificates."""
        return self.secured and bool(self.mutual_tls_ca)

    @property
    def place(self) -> str:
        """Address and port, as Go joins them."""
        return f"[{self.address}]:{self.port}" if ":" in self.address else f"{self.address}:{self.port}"
