"""`multirootca`: several CAs behind one address, each by its label."""

import sys

from groundplane.pki.cfssl.errors import CfsslError
from groundplane.pki.cfssl.flags import BadFlags, Flag, HelpWanted, Kind, parse
from groundplane.pki.cfssl.journal import Journal

_OK, _FAILED, _USAGE = 0, 1, 2
_FLAGS = {
    "a": Flag("a", Kind.TEXT, ":8888", "address to listen at"),
    "l": Flag("l", Kind.TEXT, "", "label of requests that name none"),
    "loglevel": Flag("loglevel", Kind.INT, "1", "least level to log: 0 is DEBUG, 5 is FATAL"),
    "roots": Flag("roots", Kind.TEXT, "", "file of the roots"),
    "tls-cert": Flag("tls-cert", Kind.TEXT, "", "certificate to show"),
    "tls-key": Flag("tls-key", Kind.TEXT, "", "key of -tls-cert"),
}


def run(words: list[str]) -> int:
    """Until a signal says otherwise."""
    try:
        values, _ = parse(words, _FLAGS)
    except HelpWanted:
        sys.stderr.write(_usage())
        return _OK
    except BadFlags as bad:
        sys.stderr.write(f"{bad.line}\n{_usage()}")
        return _USAGE
    from groundplane.pki.multiroot.run import run as serve
    from groundplane.pki.multiroot.site import Settings
    from groundplane.pki.server.log import Lines, LocalClock

    least = values["loglevel"]
    assert isinstance(least, int)
    lines = Lines()
    journal = Journal(write=lines.write, clock=LocalClock(), least=least)
    address, label, roots, certificate, key = (str(values[name]) for name in ("a", "l", "roots", "tls-cert", "tls-key"))
    settings = Settings(roots=roots, address=address, label=label, tls_cert=certificate, tls_key=key)
    try:
        if not roots:
            journal.fatal("no root file specified")
            return _FAILED
        serve(settings, journal=journal, lines=lines)
    except CfsslError as bad:
        journal.fatal(str(bad))
        return _FAILED
    finally:
        lines.flush()
    return _OK


def _usage() -> str:
    lines = ["Usage of multirootca:"]
    for flag in _FLAGS.values():
        kind = "int" if flag.kind is Kind.INT else "string"
        shown = flag.default if flag.kind is Kind.INT else f'"{flag.default}"'
        lines += [f"  -{flag.name} {kind}", f"    \t{flag.what}" + (f" (default {shown})" if flag.default else "")]
    return "\n".join(lines) + "\n"
