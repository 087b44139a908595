"""A report as a table, as JSON, and in the text format that Prometheus's textfile collector reads."""

import json
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from groundplane.pki.report.model import Line, gravest
from groundplane.pki.wire.duration import render_duration

HEADER = ("LEVEL", "LEFT", "ENDS", "NAME", "KIND", "PLACE")


def rows(lines: Sequence[Line]) -> list[tuple[str, ...]]:
    """A row for each line, under HEADER."""
    return [_row(line) for line in lines]


def troubles(lines: Iterable[Line]) -> list[str]:
    """A sentence for each place of which nothing could be read, to stand below the table."""
    return [f"{line.found.place}: {line.found.trouble}" for line in lines if line.found.certificate is None]


def as_json(lines: Sequence[Line], *, now: datetime) -> str:
    """An object: when it was made, how grave it is, and an object for each line. Times are RFC 3339, in UTC."""
    document = {
        "made": _time(now),
        "level": gravest(lines).word,
        "certificates": [_object(line) for line in lines],
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def as_metrics(lines: Iterable[Line]) -> str:
    """Two gauges: when each certificate ends, in seconds of Unix time, and which places could not be read."""
    ends, unreadable = [], []
    for line in lines:
        it = line.found.certificate
        if it is None:
            unreadable.append(f'groundplane_certificate_unreadable{{place="{_label(line.found.place)}"}} 1')
            continue
        labels = f'place="{_label(line.found.place)}",name="{_label(_name(line))}",serial="{it.serial:x}"'
        ends.append(f"groundplane_certificate_not_after_seconds{{{labels}}} {int(it.not_after.timestamp())}")
    text = [
        "# HELP groundplane_certificate_not_after_seconds When the certificate ends, in Unix time.",
        "# TYPE groundplane_certificate_not_after_seconds gauge",
        *ends,
        "# HELP groundplane_certificate_unreadable A place without a certificate that can be read.",
        "# TYPE groundplane_certificate_unreadable gauge",
        *unreadable,
    ]
    return "\n".join(text) + "\n"


def _row(line: Line) -> tuple[str, ...]:
    it = line.found.certificate
    if it is None:
        return line.level.word, "", "", "", "", line.found.place
    left = line.left if line.left is not None else timedelta()
    kind = "CA" if it.is_ca else "leaf"
    return line.level.word, render_duration(left), f"{it.not_after:%F %H:%M}", _name(line), kind, line.found.place


def _object(line: Line) -> dict[str, object]:
    it = line.found.certificate
    if it is None:
        return {"place": line.found.place, "level": line.level.word, "trouble": line.found.trouble}
    return {
        "place": line.found.place,
        "level": line.level.word,
        "secondsLeft": int(line.left.total_seconds()) if line.left is not None else None,
        "subject": str(it.subject),
        "issuer": str(it.issuer),
        "serial": str(it.serial),
        "names": list(it.names.texts()),
        "isCA": it.is_ca,
        "key": None if it.key is None else str(it.key),
        "notBefore": _time(it.not_before),
        "notAfter": _time(it.not_after),
        "sha256": line.found.fingerprint,
    }


def _name(line: Line) -> str:
    it = line.found.certificate
    assert it is not None
    return it.subject.common_name or next(iter(it.names.texts()), "") or str(it.subject)


def _time(it: datetime) -> str:
    return f"{it:%Y-%m-%dT%H:%M:%SZ}"


def _label(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
