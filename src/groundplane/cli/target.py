"""Which cluster a command is about: the file named, the name given, or the only cluster there is."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from groundplane.errors import Invalid
from groundplane.names import ClusterName, parse_cluster_name

if TYPE_CHECKING:
    from groundplane.cluster.lab.lab import Lab
    from groundplane.cluster.model import Cluster


def file_of(arguments: argparse.Namespace) -> Path | None:
    """The cluster file that was named, None if none was."""
    positional: Path | None = getattr(arguments, "file", None)
    flag: Path | None = arguments.file_flag
    if positional is not None and flag is not None and positional != flag:
        raise Invalid(f"two cluster files: {positional} and {flag}", to="command line", hint="name one")
    return positional if positional is not None else flag


def cluster_of(arguments: argparse.Namespace) -> "Cluster":
    """The cluster the command means, from its file, or from the record of the one that was brought up."""
    from groundplane.cluster import document, record

    path = file_of(arguments)
    if path is None and (name := _recorded_name(arguments)) is not None:
        found = record.load(name)
        if found is not None:
            return found
    return document.load(path, name=arguments.name)


def lab_of(arguments: argparse.Namespace) -> "Lab":
    """The lab of that cluster; does not need the cluster file where its name is known otherwise."""
    from groundplane.cluster import document
    from groundplane.cluster.lab.lab import Lab

    path = file_of(arguments)
    if arguments.name is not None:
        return Lab(parse_cluster_name(arguments.name, at="--name"))
    if path is None and (name := _recorded_name(arguments)) is not None:
        return Lab(name)
    return Lab(document.load_name(path))


def _recorded_name(arguments: argparse.Namespace) -> ClusterName | None:
    """The name given, else the only cluster that was brought up here; None where there are none or several."""
    from groundplane.cluster.lab import paths

    if arguments.name is not None:
        return parse_cluster_name(arguments.name, at="--name")
    known = paths.known()
    return known[0] if len(known) == 1 else None
