"""`groundplane pki kubernetes`: every certificate of a cluster, in kubeadm's places."""

import argparse
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

from groundplane.cli import show
from groundplane.errors import Invalid, Kind, NotFound


def configure(parser: argparse.ArgumentParser) -> None:
    """Its arguments."""
    parser.description = (
        "Run it again at any time: what is good is kept, what is missing or due is made. CAs and their keys are under "
        "OUT/ca, which stays with the issuer; OUT/hosts/NAME is what goes to each host's root."
    )
    parser.add_argument("cluster", nargs="?", type=Path, metavar="FILE", help="the cluster: see docs/pki/kubernetes.md")
    parser.add_argument("--out", type=Path, default=Path("kubernetes-pki"), metavar="OUT")
    parser.add_argument("--check", action="store_true", help="change nothing; exit 5 if something would be made")
    parser.add_argument("--print-policy", action="store_true", help="the profiles as a signing policy of CFSSL's form")
    parser.add_argument("-q", "--quiet", action="store_true", help="only what is made")


def run(arguments: argparse.Namespace) -> int:
    """Make, or check."""
    from groundplane.pki.kubernetes.apply import Workshop
    from groundplane.pki.kubernetes.config import parse_cluster
    from groundplane.pki.kubernetes.profiles import policy
    from groundplane.pki.operators.audit import command

    if arguments.print_policy:
        print(json.dumps(policy(timedelta(hours=8760)), indent=2))
        return 0
    if arguments.cluster is None:
        raise Invalid("which cluster?", to="command line", hint="name its file")
    try:
        data = arguments.cluster.read_bytes()
    except OSError as bad:
        raise NotFound(f"cannot be read: {bad.strerror or bad}", to=arguments.cluster, hint="name another") from bad
    cluster = parse_cluster(data, source=str(arguments.cluster))
    workshop = Workshop(top=arguments.out, cluster=cluster, now=datetime.now(UTC), dry=arguments.check)
    made, rows = 0, []
    for outcome in workshop.run():
        made += bool(outcome.made)
        if outcome.made and outcome.until and not arguments.check:
            place, until = str(arguments.out / outcome.place), f"{outcome.until:%FT%TZ}"
            command("issued", serial=outcome.serial, place=place, not_after=until)
        if outcome.made or not arguments.quiet:
            until = f"{outcome.until:%F}" if outcome.until else ""
            rows.append((outcome.what, until, outcome.made or "kept", str(outcome.place)))
    if rows:
        print(show.table(("WHAT", "UNTIL", "WHY", "PLACE"), rows), end="")
    print(f"{made} {'would be ' if arguments.check else ''}made")
    return Kind.WRONG_STATE.exit_code if arguments.check and made else 0
