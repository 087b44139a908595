"""`up`, `plan`, `status` and `down`."""

import argparse
import json
import sys

from groundplane.cli import show
from groundplane.cli.target import cluster_of, file_of, lab_of


def up(arguments: argparse.Namespace) -> int:
    """Bring the cluster to what its file says; 0 only if it is healthy and its pods reach one another."""
    from groundplane.cluster import up as bring

    done = bring.run(
        file_of(arguments), name=arguments.name, within=arguments.within, progress=show.Progress(quiet=arguments.quiet)
    )
    return done.exit_code


def plan(arguments: argparse.Namespace) -> int:
    """Print the difference; change nothing."""
    from groundplane.cluster import up as bring

    found = bring.plan(file_of(arguments), name=arguments.name)
    if arguments.output == "json":
        print(json.dumps([change.to_json() for change in found], indent=2))
    elif found:
        rows = [(change.verb.value, change.host or "-", change.what, change.why) for change in found]
        sys.stdout.write(show.table(("DO", "HOST", "WHAT", "WHY"), rows))
    else:
        print("no change")
    return 0


def status(arguments: argparse.Namespace) -> int:
    """Print the cluster as it is; 0 if it is healthy."""
    import asyncio

    from groundplane.cluster.status import look
    from groundplane.errors import Kind
    from groundplane.system import netns

    cluster, lab = cluster_of(arguments), lab_of(arguments)
    if netns.pinned(lab.paths.fabric):
        lab.enter_fabric()
    picture = asyncio.run(look(cluster, lab))
    match arguments.output:
        case "json":
            print(json.dumps(picture.to_json(), indent=2))
        case "yaml":
            import yaml

            sys.stdout.write(yaml.safe_dump(picture.to_json(), sort_keys=False))
        case _:
            from groundplane.cli.status_table import render

            sys.stdout.write(render(picture, wide=arguments.output == "wide"))
    return 0 if picture.healthy else Kind.UNAVAILABLE.exit_code


def down(arguments: argparse.Namespace) -> int:
    """Stop the cluster, and with --purge remove it."""
    from groundplane.cluster import doctor
    from groundplane.system import files

    doctor.require_root()
    lab = lab_of(arguments)
    if not lab.paths.run.exists() and not (arguments.purge and lab.paths.data.exists()):
        print(f"{lab.name} is not up", file=sys.stderr)
        return 0
    lab.prepare()
    with files.lock(lab.paths.lock):
        done = lab.down(purge=arguments.purge)
    stopped = f"stopped {', '.join(done.hosts)}" if done.hosts else "no host was running"
    purged = "; data, keys and certificates removed" if done.purged else ""
    print(f"{lab.name}: {stopped}{purged}", file=sys.stderr)
    return 0
