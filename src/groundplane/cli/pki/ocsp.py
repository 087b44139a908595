"""`groundplane pki ocsp`: an OCSP responder that signs live, from the certificate database."""

import argparse
from datetime import timedelta
from pathlib import Path

from groundplane.cli.pki.keys import password
from groundplane.cli.pki.spans import span
from groundplane.errors import Invalid

_MOST_INTERVAL = timedelta(days=7)


def configure(parser: argparse.ArgumentParser) -> None:
    """Its arguments."""
    parser.description = (
        "Answers OCSP requests over HTTP. Each certificate is looked up in the database at each request, so a "
        "revocation takes effect at the next one. SIGHUP, or a file that changes, has them read anew."
    )
    parser.add_argument("--db-config", type=Path, required=True, metavar="FILE", help="CFSSL's db-config file")
    parser.add_argument("--ca", type=Path, required=True, metavar="FILE", help="the CA whose certificates these are")
    parser.add_argument("--ca-key", metavar="KEY", help="its key (file or pkcs11: URI), if the CA answers itself")
    parser.add_argument("--responder", type=Path, metavar="FILE", help='delegate: from the CA, with "ocsp signing"')
    parser.add_argument("--responder-key", metavar="KEY", help="its key: a file, or a pkcs11: URI")
    parser.add_argument("--key-password", metavar="file:PATH|env:NAME|ask", help="what that key is encrypted with")
    parser.add_argument("--address", default="127.0.0.1", help="where to listen (default: 127.0.0.1)")
    parser.add_argument("--port", type=int, default=8889, help="default: 8889")
    parser.add_argument("--path", default="/", help="where the responder is, under the host's name (default: /)")
    parser.add_argument(
        "--interval", type=span, default=timedelta(hours=1), metavar="1h", help="how long an answer is good"
    )
    parser.add_argument(
        "--metrics", metavar="HOST:PORT", help="a second door, for operators: /metrics, /health, /health/deep"
    )
    levels, logged = ("debug", "info", "warning", "error"), "debug has a line for each query (default: info)"
    parser.add_argument("--log-level", choices=levels, default="info", help=logged)
    parser.add_argument("--workers", type=int, default=0, metavar="N", help="processes (default: one a processor)")


def run(arguments: argparse.Namespace) -> int:
    """Serve until a signal."""
    delegated = arguments.responder is not None
    if delegated in {arguments.responder_key is None, arguments.ca_key is not None}:
        hint = "give --responder and --responder-key, or --ca-key alone"
        raise Invalid("who signs the answers?", to="command line", hint=hint)
    if not timedelta(minutes=2) <= arguments.interval <= _MOST_INTERVAL:
        raise Invalid("an answer is good for 2m at least and 168h at most", to="--interval", hint="1h is usual")
    if arguments.workers < 0:
        raise Invalid("fewer than none", to="--workers", hint="0 is one a processor")
    from groundplane.pki.ocsp.serve import LiveSettings, run_live
    from groundplane.pki.service.config import parse_address

    door = None if arguments.metrics is None else parse_address(arguments.metrics, at="--metrics")

    settings = LiveSettings(
        database=arguments.db_config,
        ca=arguments.ca,
        key=arguments.responder_key if delegated else arguments.ca_key,
        responder=arguments.responder,
        interval=arguments.interval,
        password=password(arguments.key_password, "key's password"),
        path=arguments.path,
        metrics=None if door is None else (door.host, door.port),
        level=arguments.log_level,
    )
    run_live(settings, address=arguments.address, port=arguments.port, workers=arguments.workers)
    return 0
