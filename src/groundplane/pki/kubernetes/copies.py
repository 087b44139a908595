"""What hosts have of the issuer's own files: the last there is of a CA's key, if `OUT/ca` was lost."""

from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from groundplane.errors import WrongState
from groundplane.pki.files import PairPaths
from groundplane.pki.kubernetes.model import Authority
from groundplane.pki.kubernetes.plan import COPIES, HOSTS
from groundplane.system import files


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A file that hosts have, all of them the same; `place` is one of them, `everywhere` the pattern of all."""

    data: bytes
    place: Path
    everywhere: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Rest:
    """What is left of a CA, of which the issuer's directory lacks something: its own files and hosts' together."""

    certificate: bytes | None
    key: bytes | None
    held: tuple[Held, ...]

    @property
    def places(self) -> str:
        """Where hosts have what is lacking."""
        return ", ".join(str(one.place) for one in self.held)

    @property
    def everywhere(self) -> str:
        """All of those places, as the shell writes them."""
        return " and ".join(one.everywhere for one in self.held)


def held(top: Path, source: PurePosixPath) -> Held | None:
    """What hosts have of `source`, also hosts that the cluster's file no longer has. None: nobody has it.

    Raises WrongState if they do not have the same, OSError for what cannot be read.
    """
    if source not in COPIES:
        return None
    found = {path: path.read_bytes() for path in sorted(top.glob(f"{HOSTS}/*/{COPIES[source]}"))}
    if not found:
        return None
    place, data = next(iter(found.items()))
    if other := next((path for path, content in found.items() if content != data), None):
        hint = "leave only the right ones there, then run this again: it is taken back from them"
        raise WrongState(f"it is gone, and hosts have different ones: {place}, {other}", to=top / source, hint=hint)
    return Held(data=data, place=place, everywhere=str(top / HOSTS / "*" / COPIES[source]))


def rest_of(top: Path, wanted: Authority, paths: PairPaths) -> Rest | None:
    """None if hosts have nothing that is lacking at `paths`. Raises as `held` does."""
    own = files.read_optional(paths.certificate), files.read_optional(paths.key)
    certificate = None if own[0] is not None else held(top, wanted.certificate)
    key = None if own[1] is not None else held(top, wanted.key)
    if certificate is None and key is None:
        return None
    return Rest(
        certificate=own[0] if certificate is None else certificate.data,
        key=own[1] if key is None else key.data,
        held=tuple(one for one in (certificate, key) if one is not None),
    )
