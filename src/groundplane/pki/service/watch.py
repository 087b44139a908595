"""The files that a service reads again when it is loaded anew."""

from pathlib import Path

from groundplane.pki.keystore.uri import is_uri
from groundplane.pki.service.model import Service

_FILES = (
    *("ca", "ca_key", "config", "db_config", "responder", "responder_key", "ca_bundle", "int_bundle", "metadata"),
    *("tls_cert", "tls_key", "mutual_tls_ca"),
)


def files_of(service: Service, config: Path) -> tuple[Path, ...]:
    """Everything that a reload would read again."""
    return (config, *named_in(service).values())


def named_in(service: Service) -> dict[str, Path]:
    """The files that the settings name, by the setting. A key in a security module is none."""
    texts = {field: str(getattr(service.settings, field)).removeprefix("file:") for field in _FILES}
    return {field: Path(text) for field, text in texts.items() if text and not is_uri(text)}
