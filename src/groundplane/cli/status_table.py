"""`groundplane status` for people."""

import sys

from groundplane.cli import show
from groundplane.cluster.picture import Picture


def render(picture: Picture, *, wide: bool) -> str:
    """Every part of the picture as a table, what is wrong first."""
    out = sys.stdout
    health = show.paint("healthy", "good", out) if picture.healthy else show.paint("not healthy", "bad", out)
    parts = [f"{show.paint(picture.cluster, 'bold', out)} ({picture.provider}): {health}\n"]
    parts += [f"  {show.paint('!', 'bad', out)} {problem}\n" for problem in picture.problems]
    parts.append("\n" + _hosts(picture, wide=wide))
    version = next((member.version for member in picture.members if member.version), "?")
    parts.append(f"\netcd {version}: leader {picture.leader or 'none'}\n")
    parts.append(
        show.table(
            ("MEMBER", "ENDPOINT", "STATE", "ID"),
            [
                (
                    m.name,
                    m.endpoint,
                    ("leader" if m.leader else "healthy") if m.healthy else m.error or "not healthy",
                    m.id,
                )
                for m in picture.members
            ],
        )
    )
    parts.append(f"\nBGP: {picture.established} of {picture.sessions} sessions established\n")
    if picture.pods:
        rows = [(p.namespace, p.name, p.host, p.ip or "-", p.state) for p in picture.pods]
        parts.append("\n" + show.table(("NAMESPACE", "POD", "HOST", "IP", "STATE"), rows))
    certificates = [
        (c.name, f"{c.days_left} d", c.not_after.strftime("%Y-%m-%d"), *((c.path,) if wide else ()))
        for c in picture.certificates
    ]
    columns = ("CERTIFICATE", "LEFT", "ENDS", *(("PATH",) if wide else ()))
    parts.append("\n" + show.table(columns, certificates))
    return "".join(parts)


def _hosts(picture: Picture, *, wide: bool) -> str:
    rows = []
    for host in picture.hosts:
        bad = [name for name in host.wanted_units if name not in host.units or not host.units[name].running]
        if not host.up:
            state = "down"
        elif bad:
            state = "not running: " + ", ".join(bad)
        else:
            state = "healthy" if host.healthy else "out of step"
        blocks = ", ".join(f"{block.cidr} ({block.used} used)" for block in host.blocks) or "-"
        units = " ".join(f"{name}={unit.pid}" for name, unit in host.units.items())
        rows.append((host.name, host.address, state, blocks, *((units,) if wide else ())))
    return show.table(("HOST", "ADDRESS", "STATE", "BLOCKS", *(("UNITS",) if wide else ())), rows)
