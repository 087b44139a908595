"""The files that a service reads again when it is loaded anew."""

from pathlib import Path

from groundplane.pki.service.model import Service

_FILES = (
    *("ca", "ca_key", "config", "db_config", "responder", "responder_key", "ca_bundle", "int_bundle", "metadata"),
    *("tls_cert", "tls_key", "mutual_tls_ca"),
)


def files_of(service: Service, config: Path) -> tuple[Path, ...]:
    """Everything that a reload would read again."""
    named = (str(getattr(service.settings, field)).removeprefix("file:") for field in _FILES)
    return (config, *(Path(name) for name in named if name))
