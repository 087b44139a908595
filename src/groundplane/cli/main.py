"""`groundplane`: parse the arguments, hand over to a group's module, turn a failure into one line and an exit code."""

import argparse
import gc
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path

from groundplane import __version__
from groundplane.cli import pki, show
from groundplane.errors import Exhausted, GroundplaneError, of_os

_BUG = 1
_INTERRUPTED = 130
_PIPE = 141
_GARBAGE = 100_000  # new objects between two searches for garbage: most commands end before the first


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code (0 done, 1 a bug, 2 usage, 3 and up from `errors.Kind`)."""
    if argv is not None:
        return _run(list(argv))
    gc.set_threshold(_GARBAGE)
    code = _run(sys.argv[1:])
    gc.freeze()  # the process ends: a last search through all that was imported is a tenth of a short command's time
    return code


def _run(words: list[str]) -> int:
    arguments = _parser(words).parse_args(words)
    try:
        code = _command(arguments.run)(arguments)
        sys.stdout.flush()
    except GroundplaneError as failed:
        return _told(failed)
    except BaseExceptionGroup as several:
        return _several(several)
    except KeyboardInterrupt:
        show.error("interrupted; what was begun is safe: run the same command again")
        return _INTERRUPTED
    except (OSError, MemoryError) as refused:
        return _refused(refused)
    return code


def _told(failed: GroundplaneError) -> int:
    show.error(str(failed))
    for note in getattr(failed, "__notes__", ()):
        print(f"       {note}", file=sys.stderr)
    return failed.kind.exit_code


def _refused(by_the_kernel: OSError | MemoryError) -> int:
    if isinstance(by_the_kernel, BrokenPipeError):
        return _PIPE  # the reader of our output has gone, as after `| head`
    if isinstance(by_the_kernel, MemoryError):
        return _told(Exhausted("there is not enough of it", to="memory", hint="give it less, or the process more"))
    return _told(of_os(by_the_kernel))


def _several(group: BaseExceptionGroup) -> int:
    known, others = group.split(GroundplaneError)
    if others is not None:
        raise group
    assert known is not None
    leaves = list(_leaves(known))
    for failed in leaves:
        show.error(str(failed))
    return leaves[0].kind.exit_code


def _leaves(group: BaseExceptionGroup) -> "list[GroundplaneError]":
    found: list[GroundplaneError] = []
    for member in group.exceptions:
        if isinstance(member, BaseExceptionGroup):
            found.extend(_leaves(member))
        elif isinstance(member, GroundplaneError):
            found.append(member)
    return found


def _command(path: str) -> Callable[[argparse.Namespace], int]:
    module, _, function = path.partition(":")
    found: Callable[[argparse.Namespace], int] = getattr(import_module(f"groundplane.cli.{module}"), function)
    return found


def _parser(words: Sequence[str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="groundplane", description="Everything beneath a Kubernetes control plane.")
    parser.add_argument("--version", action="version", version=f"groundplane {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    if words[:1] == ["pki"]:  # the others' parsers are not asked then, and making them takes time
        pki.configure(commands.add_parser("pki"), words)
        return parser

    up = commands.add_parser("up", help="bring the cluster up, or bring it to what its file says")
    _file(up, positional=True)
    up.add_argument("--within", type=_seconds, default=120.0, metavar="30s", help="give up after this long")
    up.add_argument("-q", "--quiet", action="store_true", help="no line per step")
    up.set_defaults(run="bring:up")

    plan = commands.add_parser("plan", help="show what `up` would do; change nothing")
    _file(plan, positional=True)
    _output(plan)
    plan.set_defaults(run="bring:plan")

    status = commands.add_parser("status", help="show the cluster as it is")
    _file(status, positional=True)
    _output(status, ("table", "wide", "json", "yaml"))
    status.set_defaults(run="bring:status")

    down = commands.add_parser("down", help="stop the cluster")
    _file(down, positional=True)
    down.add_argument("--purge", action="store_true", help="remove its data, keys and certificates too")
    down.set_defaults(run="bring:down")

    doctor = commands.add_parser("doctor", help="what this machine lacks, and the command that mends it")
    doctor.add_argument("--fix", action="store_true", help="install what is missing")
    _output(doctor)
    doctor.set_defaults(run="host:doctor")

    shell = commands.add_parser("shell", help="run a command (or a shell) inside a host")
    shell.add_argument("host", metavar="HOST")
    shell.add_argument("command", nargs=argparse.REMAINDER, metavar="-- COMMAND", help="default: a shell")
    _file(shell)
    shell.set_defaults(run="host:shell")

    logs = commands.add_parser("logs", help="what a host's units wrote")
    logs.add_argument("host", metavar="HOST")
    logs.add_argument("unit", nargs="?", metavar="UNIT", help="default: all")
    logs.add_argument("-n", "--lines", type=int, default=50, metavar="N", help="the last N lines of each (default 50)")
    _file(logs)
    logs.set_defaults(run="host:logs")

    _etcd(commands.add_parser("etcd", help="etcd: health, members, status, unit files"))

    pki.configure(commands.add_parser("pki", help="pki: certificates from CFSSL's files"), words)

    links = commands.add_parser("links", help="install the programs that groundplane stands in for (cfssl, cfssljson)")
    links.add_argument("directory", type=Path, metavar="DIR")
    links.add_argument("--force", action="store_true", help="replace what others have put there")
    links.set_defaults(run="links:links")

    for name, what in (
        ("cri", "the container runtime's server"),
        ("agent", "the network agent"),
        ("pods", "the keeper of pods"),
    ):
        daemon = commands.add_parser(name, help=f"run {what} (for systemd)")
        daemon.add_argument("--config", type=Path, default=Path(f"/etc/groundplane/{name}.json"), metavar="FILE")
        daemon.set_defaults(run="daemon:run", daemon=name)
    return parser


def _etcd(etcd: argparse.ArgumentParser) -> None:
    verbs = etcd.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for name, what in (
        ("health", "does each endpoint commit"),
        ("status", "version, size, leader, raft index of each endpoint"),
        ("members", "who belongs to the cluster"),
    ):
        verb = verbs.add_parser(name, help=what)
        _file(verb)
        _output(verb)
        verb.set_defaults(run=f"etcd:{name}")
    unit = verbs.add_parser("unit", help="the systemd unit that a real host would get")
    unit.add_argument("host", metavar="HOST")
    _file(unit)
    unit.set_defaults(run="etcd:unit")


def _file(parser: argparse.ArgumentParser, *, positional: bool = False) -> None:
    if positional:
        parser.add_argument(
            "file", nargs="?", type=Path, metavar="FILE", help="cluster file (default: the built-in one)"
        )
    parser.add_argument("-f", "--file", dest="file_flag", type=Path, metavar="FILE", help="cluster file")
    parser.add_argument("--name", metavar="NAME", help="use this name for the cluster instead of metadata.name")


def _output(parser: argparse.ArgumentParser, choices: Sequence[str] = ("table", "json")) -> None:
    parser.add_argument("-o", "--output", choices=choices, default="table")


def _seconds(text: str) -> float:
    number, factor = text, 1.0
    for suffix, scale in (("ms", 0.001), ("s", 1.0), ("m", 60.0)):
        if text.endswith(suffix):
            number, factor = text.removesuffix(suffix), scale
            break
    try:
        value = float(number) * factor
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a duration such as 30s or 2m") from None
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} must be more than nothing")
    return value


if __name__ == "__main__":
    sys.exit(main())
