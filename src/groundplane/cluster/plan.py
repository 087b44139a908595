"""What differs between a cluster as it is wanted and as it is, as a list of changes. Pure.

`groundplane plan` prints it, `up` starts from it. What cannot be known while something below is missing (the resources
in an etcd that is not there yet) is listed as it will be: to be made.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

from groundplane.cluster.model import Decision
from groundplane.errors import Unimplemented


class Verb(Enum):
    """What a change does."""

    CREATE = "create"
    CHANGE = "change"
    START = "start"
    RESTART = "restart"
    ISSUE = "issue"
    REMOVE = "remove"
    STOP = "stop"


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One difference: do `verb` to `what` (on `host`, if on one), because `why`."""

    verb: Verb
    what: str
    host: str = ""
    why: str = ""

    def to_json(self) -> dict[str, str]:
        """Plain data."""
        return {"verb": self.verb.value, "what": self.what, "host": self.host, "why": self.why}


@dataclass(frozen=True, slots=True, kw_only=True)
class HostFacts:
    """What was seen of a host against what it should be.

    `files`: paths whose content differs (and whether something is there now). `units`: wanted units by what a
    supervisor would do to them ("start", "restart", "" for nothing); `surplus`: units that nobody wants.
    """

    name: str
    up: bool
    files: Mapping[Path, bool] = field(default_factory=dict)
    units: Mapping[str, str] = field(default_factory=dict)
    surplus: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """Everything that was seen. `resources`, `pods`: wanted ones by what is there ("" same, "missing", "different").

    `members_before`: hosts with etcd in the cluster that was brought up last, None if there was none.
    """

    fabric: bool
    certificates: tuple[Decision, ...]
    hosts: tuple[HostFacts, ...]
    leaving: tuple[str, ...] = ()
    members_before: frozenset[str] | None = None
    members_wanted: frozenset[str] = frozenset()
    resources: Mapping[str, str] = field(default_factory=dict)
    stale_resources: tuple[str, ...] = ()
    pods: Mapping[str, str] = field(default_factory=dict)


def changes(facts: Facts) -> tuple[Change, ...]:
    """The changes in the order in which `up` makes them. Raises Unimplemented for what it cannot do safely yet."""
    check_members(facts.members_before, facts.members_wanted)
    found: list[Change] = []
    if not facts.fabric:
        found.append(Change(verb=Verb.CREATE, what="fabric", why="hosts need a network"))
    found.extend(
        Change(verb=Verb.STOP, what="host", host=name, why="the file names it no more") for name in facts.leaving
    )
    found.extend(
        Change(verb=Verb.ISSUE, what=f"certificate {decision.name}", why=decision.reason)
        for decision in facts.certificates
        if decision.reason
    )
    for host in facts.hosts:
        found.extend(_host(host))
    for key, state in facts.resources.items():
        if state:
            found.append(
                Change(verb=Verb.CREATE if state == "missing" else Verb.CHANGE, what=key, why=f"it is {state}")
            )
    found.extend(Change(verb=Verb.REMOVE, what=key, why="the file names it no more") for key in facts.stale_resources)
    for key, state in facts.pods.items():
        if state:
            found.append(Change(verb=Verb.START, what=f"pod {key}", why=f"it is {state}"))
    return tuple(found)


def _host(host: HostFacts) -> list[Change]:
    found: list[Change] = []
    if not host.up:
        found.append(Change(verb=Verb.START, what="host", host=host.name, why="it is down"))
    for path, there in host.files.items():
        why = "its content differs" if there else "it is missing"
        found.append(Change(verb=Verb.CHANGE if there else Verb.CREATE, what=str(path), host=host.name, why=why))
    for unit, verb in host.units.items():
        if verb:
            why = "what it reads has changed" if verb == "restart" else "it does not run"
            found.append(Change(verb=Verb(verb), what=f"unit {unit}", host=host.name, why=why))
    found.extend(
        Change(verb=Verb.STOP, what=f"unit {unit}", host=host.name, why="the file asks for it no more")
        for unit in host.surplus
    )
    return found


def check_members(before: frozenset[str] | None, wanted: frozenset[str]) -> None:
    """Raise Unimplemented if the members of an etcd that has data would change."""
    if before is None or before == wanted:
        return
    words = [f"{name} would join" for name in sorted(wanted - before)]
    words += [f"{name} would leave" for name in sorted(before - wanted)]
    raise Unimplemented(
        f"the members of a running etcd cannot be changed by `up` yet: {', '.join(words)}",
        to="hosts",
        hint="put the etcd role back as it was, or `down --purge` and begin anew",
    )
