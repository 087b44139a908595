"""What each of CFSSL's programs does with its command line, and what it exits with."""

import gc
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING

from groundplane import __version__
from groundplane.cli.cfssl import streams
from groundplane.errors import GroundplaneError
from groundplane.pki.cfssl import flag_table
from groundplane.pki.cfssl.errors import CfsslError, Plain, Quiet
from groundplane.pki.cfssl.flags import BadFlags, Flag, HelpWanted, parse
from groundplane.pki.cfssl.journal import Journal

if TYPE_CHECKING:
    from groundplane.cli.cfssl.context import Context

VERSION = "1.6.5"  # the version of CFSSL whose behaviour this is
_OK, _FAILED, _USAGE = 0, 1, 2
_HOMES = {
    "gencert": "gencert",
    "genkey": "gencert",
    "gencsr": "gencert",
    "sign": "sign",
    "selfsign": "sign",
    "info": "sign",
    "certinfo": "certinfo",
    "print-defaults": "defaults",
    "version": "defaults",
    "revoke": "revoke",
    "crl": "revoke",
    "gencrl": "revoke",
    "ocspsign": "ocsp",
    "ocsprefresh": "ocsp",
    "ocspdump": "ocsp",
    "ocspserve": "ocsp",
    "bundle": "bundle",
    "scan": "scan",
    "serve": "serve",
}
# These have fewer flags than the command, and exit 0 whatever happens (CFSSL's own oddity).
_SINGLE = {
    "cfssl-bundle": (
        "bundle",
        ("cert", "key", "ca-bundle", "int-bundle", "flavor", "int-dir", "metadata", "domain", "ip", "password"),
    ),
    "cfssl-scan": (
        "scan",
        ("list", "family", "scanner", "timeout", "csv", "num-workers", "max-hosts", "ip", "ca-bundle"),
    ),
    "cfssl-certinfo": ("certinfo", ("cert", "domain", "serial", "aki", "db-config")),
    "cfssl-newkey": ("genkey", ("initca", "config")),
}
# Programs with flags of their own: each module's `run(words)` returns the exit code.
_OWN = {
    "cfssljson": "unpack",
    "mkbundle": "mkbundle",
    "cfssl-mkbundle": "mkbundle",  # Debian's name of it
    "multirootca": "multiroot",
}
PROGRAMS = ("cfssl", *_OWN, *_SINGLE)

Main = Callable[["Context"], str]


def main(program: str, argv: Sequence[str] | None = None) -> int:
    """Run one of PROGRAMS; returns its exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    if argv is None:
        streams.set_up()
    try:
        code = _dispatch(program, words)
        sys.stdout.flush()
        if argv is None:
            gc.freeze()  # the process ends: a last search for garbage would be a tenth of its time
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        streams.forget_output()
        if argv is None:
            streams.end_of_pipe()
        return _FAILED
    except OSError as bad:
        streams.forget_output()
        sys.stderr.write(f"{streams.trouble(bad)}\n")
        return _FAILED
    return code


def _dispatch(program: str, words: list[str]) -> int:
    if program in _OWN:
        own: Callable[[list[str]], int] = _home(_OWN[program]).run
        return own(words)
    if program in _SINGLE:
        command, names = _SINGLE[program]
        table = {name: flag_table.FLAGS[name] for name in names}
        code = _command(program, command, words, table)
        return _USAGE if code == _USAGE else _OK
    if not words or words[0].startswith("-"):
        return _no_command(words)
    name, *rest = words
    if name in flag_table.COMMANDS:
        return _command(f"cfssl {name}", name, rest, flag_table.FLAGS)
    sys.stderr.write(f"Command {name} is not defined.\n{flag_table.commands_usage()}")
    return _FAILED


def _no_command(words: list[str]) -> int:
    """Only -h is known before a command."""
    if not words:
        sys.stderr.write(f"No command is given.\n{flag_table.commands_usage()}")
        return _FAILED
    try:
        parse(words, {})
    except HelpWanted:
        sys.stderr.write(flag_table.commands_usage())
        return _OK
    except BadFlags as bad:
        sys.stderr.write(f"{bad.line}\n{flag_table.commands_usage()}")
        return _USAGE
    return _dispatch("cfssl", words[1:])  # `cfssl -- gencert`


def _command(title: str, command: str, words: list[str], table: Mapping[str, Flag]) -> int:
    shown = flag_table.command_flags(command) if table is flag_table.FLAGS else list(table.values())
    try:
        values, arguments = parse(words, table)
    except HelpWanted:
        sys.stderr.write(flag_table.usage(title, command, shown))
        return _OK
    except BadFlags as bad:
        sys.stderr.write(f"{bad.line}\n{flag_table.usage(title, command, shown)}")
        return _USAGE
    from groundplane.cli.cfssl.context import Context

    level = values.get("loglevel", 1)
    assert isinstance(level, int)
    journal = Journal(write=sys.stderr.write, clock=datetime.now, least=level)
    context = Context(command=command, values=values, arguments=arguments, journal=journal)
    try:
        context.load_config()
    except CfsslError as bad:
        sys.stderr.write(f"Failed to load config file: {bad}")
        return _FAILED
    return _run(context)


def _run(context: "Context") -> int:
    try:
        run: Main = getattr(_home(_HOMES[context.command]), _function(context.command))
        sys.stdout.write(run(context))
    except Quiet as done:
        sys.stdout.write(done.printed)
    except CfsslError as bad:
        sys.stderr.write(f"{bad}\n")
        return _FAILED
    except GroundplaneError as bad:  # a limit of ours that CFSSL does not have: see docs/cfssl.md
        sys.stderr.write(f"{Plain(str(bad))}\n")
        return _FAILED
    return _OK


def _home(name: str) -> ModuleType:
    return import_module(f"groundplane.cli.cfssl.{name}")


def _function(command: str) -> str:
    return command.replace("-", "_")


def version_lines() -> str:
    """What `version` prints: CFSSL's own two lines, the second of which says what really runs."""
    python = ".".join(map(str, sys.version_info[:3]))
    return f"Version: {VERSION}\nRuntime: groundplane {__version__}, python{python}\n"
