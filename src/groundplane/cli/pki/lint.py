"""`groundplane pki lint`: what is said against certificates, by zlint's names."""

import argparse
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from groundplane.errors import Invalid, Kind

if TYPE_CHECKING:
    from groundplane.pki.lint.model import Finding, Status

_LEVELS = ("reserved", "NA", "NE", "pass", "info", "warn", "error", "fatal")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Judged:
    """One certificate of a file, and what was found."""

    file: str
    subject: str
    serial: int
    findings: "tuple[Finding, ...]"


def configure(parser: argparse.ArgumentParser) -> None:
    """Its arguments."""
    parser.add_argument("files", type=Path, nargs="*", metavar="FILE", help="certificates, PEM or DER; - is stdin")
    level = "the worst that may be found: pass, info, warn (default), error or fatal, or 3 to 7"
    parser.add_argument("--level", type=_level, metavar="WORD", help=level)
    parser.add_argument("--ignore", action="append", default=[], metavar="LINT", help="a lint not to ask")
    parser.add_argument("--ignore-source", action="append", default=[], metavar="SOURCE", help="a source not to ask")
    parser.add_argument("--config", type=Path, metavar="FILE", help="take all of these from a signing policy")
    parser.add_argument("--profile", default="", metavar="NAME", help="profile of the policy (default: its default)")
    parser.add_argument("--all", action="store_true", help="tell what passes and does not apply, too")
    parser.add_argument("--list", action="store_true", help="the lints that there are")
    parser.add_argument("-o", "--output", choices=("table", "json"), default="table")


def run(arguments: argparse.Namespace) -> int:
    """0 if nothing worse than the level is found; the exit code of an invalid input otherwise."""
    if arguments.list:
        if arguments.files:
            raise Invalid("--list looks at no file", to=arguments.files[0], hint="leave out one of the two")
        sys.stdout.write(_list(arguments.output))
        return 0
    if not arguments.files:
        raise Invalid("what shall be looked at?", to="command line", hint="name a file with certificates")
    from groundplane.pki.lint.verdict import breaches

    level, ignored, sources = _asked(arguments)
    judged = [it for path in arguments.files for it in _judge(path, ignored, sources)]
    least = 1 if arguments.all else 4  # a notice
    told = _json(judged, level, least) if arguments.output == "json" else _table(judged, least)
    sys.stdout.write(told)
    return Kind.INVALID.exit_code if any(breaches(it.findings, level=level) for it in judged) else 0


def _asked(arguments: argparse.Namespace) -> tuple[int, frozenset[str], frozenset[str]]:
    """The level, and what is not asked: from a profile, or from the command line."""
    from groundplane.pki.lint.model import Source, Status
    from groundplane.pki.lint.registry import lints
    from groundplane.pki.lint.registry import nearest as nearest_lint
    from groundplane.pki.wire.json_tree import nearest

    if arguments.config is not None:
        if arguments.level is not None or arguments.ignore or arguments.ignore_source:
            raise Invalid("--config says all of it", to="command line", hint="leave out the other, or --config")
        from groundplane.cli.pki.inputs import read
        from groundplane.pki import parse_policy

        profile = parse_policy(read(arguments.config), source=str(arguments.config)).profile(arguments.profile)
        if profile.lint is None:
            raise Invalid("this profile asks for no lints", to=profile.at, hint='add "lint_error_level": 5')
        return profile.lint.level, profile.lint.ignored, profile.lint.ignored_sources
    for name in arguments.ignore:
        if name not in lints():
            raise Invalid(f"unknown lint {name!r}", to="--ignore", hint=nearest_lint(name))
    every = [str(source) for source in Source]
    for name in arguments.ignore_source:
        if name not in every:
            raise Invalid(f"unknown source of lints {name!r}", to="--ignore-source", hint=nearest(name, every))
    level = Status.WARN if arguments.level is None else arguments.level
    return level, frozenset(arguments.ignore), frozenset(arguments.ignore_source)


def _judge(path: Path, ignored: frozenset[str], sources: frozenset[str]) -> list[_Judged]:
    from groundplane.cli.pki.inputs import read
    from groundplane.pki.lint.verdict import judge
    from groundplane.pki.lint.view import certificates_of, view

    found = []
    for der in certificates_of(read(path), source=path):
        seen = view(der, source=path)
        findings = judge(seen, ignored=ignored, ignored_sources=sources)
        found.append(_Judged(file=str(path), subject=seen.subject.title, serial=seen.serial_number, findings=findings))
    return found


def _table(judged: list[_Judged], least: int) -> str:
    lines = []
    for it in judged:
        shown = [finding for finding in it.findings if finding.status >= least]
        lines.append(f"{it.file}: {it.subject or 'no subject'}: {_counted(it.findings)}")
        shown.sort(key=lambda each: (-each.status, each.name))
        lines += [f"  {finding.status.word:<5}  {finding.source:<9}  {finding.name}" for finding in shown]
    return "\n".join(lines) + "\n"


def _counted(findings: "tuple[Finding, ...]") -> str:
    from collections import Counter

    counts: Counter[Status] = Counter(finding.status for finding in findings)
    said = [f"{counts[status]} {status.word}" for status in sorted(counts, reverse=True) if status > 3]  # noqa: PLR2004 - a pass
    return ", ".join(said) or "nothing is said against it"


def _json(judged: list[_Judged], level: int, least: int) -> str:
    from groundplane.pki.lint.verdict import breaches, worst

    told: list[dict[str, Any]] = [
        {
            "file": it.file,
            "subject": it.subject,
            "serial_number": str(it.serial),
            "holds": not breaches(it.findings, level=level),
            "worst": worst(it.findings).word,
            "lints": {
                finding.name: {"result": finding.status.word, "source": str(finding.source)}
                for finding in it.findings
                if finding.status >= least
            },
        }
        for it in judged
    ]
    return json.dumps(told, indent=2) + "\n"


def _list(form: str) -> str:
    from groundplane.pki.lint.registry import lints

    if form == "json":
        every = [
            {
                "name": lint.name,
                "source": str(lint.source),
                "since": f"{lint.since:%F}" if lint.since is not None else None,
                "until": f"{lint.until:%F}" if lint.until is not None else None,
            }
            for lint in lints().values()
        ]
        return json.dumps(every, indent=2) + "\n"
    return "".join(f"{lint.source:<9}  {lint.name}\n" for lint in lints().values())


def _level(text: str) -> int:
    """A number or its word."""
    if text in _LEVELS[1:]:
        return _LEVELS.index(text)
    if text.isascii() and text.isdigit() and 0 < int(text) < len(_LEVELS):
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r} is none of {', '.join(_LEVELS[3:])}, nor a number from 3 to 7")
