"""What each kind of certificate may be used for: kubeadm's usages, and nothing beyond."""

from datetime import timedelta

from groundplane.pki.model import Profile

_KEY = ("digital signature", "key encipherment")
_USAGES = {
    "server": (*_KEY, "server auth"),
    "client": (*_KEY, "client auth"),
    # etcd's members connect to each other, and its HTTP gateway to itself, with the serving certificate.
    "peer": (*_KEY, "server auth", "client auth"),
}


def profile(kind: str, lifetime: timedelta) -> Profile:
    """The profile of `server`, `client` or `peer` certificates."""
    return Profile(name=kind, expiry=lifetime, usages=_USAGES[kind], at=f"profile {kind}")


def policy(lifetime: timedelta) -> dict[str, object]:
    """The same as a signing policy in CFSSL's form, for whoever issues such certificates by other means."""
    hours = f"{int(lifetime / timedelta(hours=1))}h"
    profiles = {kind: {"expiry": hours, "usages": list(usages)} for kind, usages in _USAGES.items()}
    return {"signing": {"default": {"expiry": hours}, "profiles": profiles}}
