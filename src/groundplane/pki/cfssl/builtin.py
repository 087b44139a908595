"""CFSSL's own profile, for calls without -config and for policies without a default."""

from datetime import timedelta

from groundplane.pki.model import Profile

BUILTIN = Profile(
    name="default",
    expiry=timedelta(hours=8760),
    usages=("signing", "key encipherment", "server auth", "client auth"),
    at="built-in policy",
)
