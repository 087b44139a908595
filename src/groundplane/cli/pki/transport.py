"""`groundplane pki transport`: keep the pair of a CFSSL identity fresh, as a daemon or (--once) from a timer."""

import argparse
import asyncio
import shlex
from datetime import timedelta
from pathlib import Path

from groundplane.cli.pki.spans import span
from groundplane.errors import Invalid, NotFound


def configure(parser: argparse.ArgumentParser) -> None:
    """Its arguments."""
    parser.add_argument("--identity", type=Path, required=True, metavar="FILE", help="who one is, who signs (JSON)")
    what = "how long before its end a certificate is replaced (24h)"
    parser.add_argument("--before", type=span, default=timedelta(hours=24), metavar="DURATION", help=what)
    parser.add_argument("--hook", action="append", default=[], metavar="PROGRAM", help="run when there is a new one")
    parser.add_argument("--once", action="store_true", help="ask if it is due, and end")
    parser.add_argument("--check", action="store_true", help="only read the file")


def run(arguments: argparse.Namespace) -> int:
    """Run until it is stopped."""
    from groundplane.pki.transport import Keeper, open_transport, parse_identity

    path: Path = arguments.identity
    try:
        data = path.read_bytes()
    except OSError as bad:
        raise NotFound(f"cannot be read: {bad.strerror or bad}", to=path, hint="name another file") from bad
    identity = parse_identity(data, source=str(path))
    if identity.paths is None:
        hint = 'add "profiles": {"paths": {"private_key": "…", "certificate": "…"}}'
        raise Invalid("it does not say where key and certificate are kept", to=path, hint=hint)
    hooks = tuple(map(_words, arguments.hook))
    if arguments.check:
        print(f"{path}: {identity.request.common_name or 'an identity'}, in {identity.paths.certificate}")
        return 0
    if arguments.once:
        transport = open_transport(identity, before=arguments.before)
        fresh = asyncio.run(Keeper(transport=transport, hooks=hooks).once())
        assert transport.certificate is not None
        until = transport.certificate.not_valid_after_utc
        print(f"{identity.paths.certificate}: {'new' if fresh else 'kept'}, until {until:%F %H:%M}")
        return 0
    from groundplane.observe import set_up

    set_up()
    asyncio.run(Keeper(transport=open_transport(identity, before=arguments.before), hooks=hooks).run())
    return 0


def _words(hook: str) -> tuple[str, ...]:
    try:
        words = tuple(shlex.split(hook))
    except ValueError as bad:
        raise Invalid(f"{bad}", to=f"--hook {hook}", hint="close the quotes") from bad
    if not words:
        raise Invalid("there is no program in it", to="--hook", hint="name one")
    return words
