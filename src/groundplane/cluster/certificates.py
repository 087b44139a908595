"""Every certificate of a cluster: which there must be, which must be issued now and why, and the issuing.

The master copies stand in one directory of the operator's machine, which also holds the CA's key; hosts get copies of
what they need and never that key. What is in place and good is kept; the reasons come from `pki.lifecycle`.
"""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from groundplane import pki
from groundplane.cluster import layout
from groundplane.cluster.model import Cluster, Decision, Host, Role
from groundplane.cluster.wanted import WantedFile
from groundplane.errors import WrongState
from groundplane.system import files

CA = "ca"
ETCD = "etcd"
OPERATOR = "operator"


class CertificateStays(WrongState):
    """The CA is not as its request says, and a CA is not replaced unasked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """One certificate that a cluster needs. `name` is its file's name; the CA itself is not among these."""

    name: str
    request: pki.CertificateRequest
    profile: pki.Profile


def agent_name(host: str) -> str:
    """The name of a host's agent's client certificate, which is also its common name less the prefix."""
    return f"agent-{host}"


def needed(cluster: Cluster) -> tuple[Certificate, ...]:
    """Every certificate but the CA's: etcd's own, and a client's with a name of its own for each that speaks to it."""
    policy = pki.parse_policy(cluster.pki.policy.data, source=cluster.pki.policy.source)
    client = pki.client_profile(policy)
    etcd = pki.parse_request(cluster.etcd.csr.data, source=cluster.etcd.csr.source)
    clients = [OPERATOR, *(agent_name(host.name) for host in cluster.with_role(Role.NODE))]
    return (
        # gRPC (BoringSSL) refuses an RSA server certificate without "digital signature", which policies often lack.
        Certificate(name=ETCD, request=etcd, profile=pki.tls_profile(policy.profile(cluster.etcd.profile))),
        *(
            Certificate(name=name, request=pki.client_request(f"groundplane-{name}"), profile=client)
            for name in clients
        ),
    )


class Store:
    """The directory of master copies."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def pair(self, name: str) -> pki.PairPaths:
        """Where a certificate and its key are."""
        return pki.PairPaths.named(self.directory, name)

    def authority(self) -> pki.Authority | None:
        """The CA, if both of its files are there."""
        paths = self.pair(CA)
        certificate, key = files.read_optional(paths.certificate), files.read_optional(paths.key)
        if certificate is None or key is None:
            return None
        return pki.Authority.load(certificate, key, source=str(paths.certificate))

    def decide(self, cluster: Cluster, *, now: datetime) -> tuple[Decision, ...]:
        """What must be issued, the CA first. Changes nothing. Raises CertificateStays, Invalid."""
        request = pki.parse_request(cluster.pki.ca.data, source=cluster.pki.ca.source)
        root = pki.assess_root(pki.observe_pair(self.pair(CA), issuer=None), pki.plan_root(request, now=now), now=now)
        match root:
            case pki.Refuse(reason=reason, hint=hint):
                raise CertificateStays(reason, to=self.pair(CA).certificate, hint=hint)
            case pki.Issue(reason=reason):
                every = (Decision(name=c.name, reason="there is a new CA") for c in needed(cluster))
                return (Decision(name=CA, reason=reason), *every)
            case _:
                pass
        authority = self.authority()
        assert authority is not None  # assess_root has seen both files
        return (Decision(name=CA, reason=""), *self._leaves(cluster, authority, now=now))

    def _leaves(self, cluster: Cluster, authority: pki.Authority, *, now: datetime) -> list[Decision]:
        found = []
        for certificate in needed(cluster):
            seen = pki.observe_pair(self.pair(certificate.name), issuer=authority.certificate)
            plan = authority.plan(certificate.request, certificate.profile, now=now)
            verdict = pki.assess(seen, plan, now=now)
            found.append(
                Decision(name=certificate.name, reason=verdict.reason if isinstance(verdict, pki.Issue) else "")
            )
        return found

    def start_race(self, cluster: Cluster, *, now: datetime) -> pki.KeyRace | None:
        """Begin to make the CA's key if one will be needed: it takes longer than everything else about certificates."""
        request = pki.parse_request(cluster.pki.ca.data, source=cluster.pki.ca.source)
        plan = pki.plan_root(request, now=now)
        verdict = pki.assess_root(pki.observe_pair(self.pair(CA), issuer=None), plan, now=now)
        if isinstance(verdict, pki.Issue) and not verdict.with_key:
            return pki.KeyRace.start(plan.key)
        return None

    def issue(
        self, cluster: Cluster, decisions: tuple[Decision, ...], *, now: datetime, race: pki.KeyRace | None
    ) -> tuple[str, ...]:
        """Issue what `decisions` say; blocking. The names issued."""
        reasons = {decision.name: decision.reason for decision in decisions if decision.reason}
        if not reasons:
            return ()
        authority = self._root(cluster, now=now, race=race) if CA in reasons else self.authority()
        assert authority is not None  # `decide` has seen it
        for certificate in needed(cluster):
            if certificate.name in reasons:
                issued = authority.issue(certificate.request, certificate.profile, now=now)
                pki.write_pair(
                    self.pair(certificate.name), certificate_pem=issued.certificate_pem, key_pem=issued.key_pem
                )
        return tuple(reasons)

    def _root(self, cluster: Cluster, *, now: datetime, race: pki.KeyRace | None) -> pki.Authority:
        request = pki.parse_request(cluster.pki.ca.data, source=cluster.pki.ca.source)
        paths = self.pair(CA)
        # A key without its certificate is what a crash between the two leaves; it is as good as new.
        left = files.read_optional(paths.key)
        if left is not None:
            key = pki.load_key(left, source=str(paths.key))
        else:
            key = race.result() if race is not None else pki.generate_fast(request.key)
        authority, root = pki.Authority.create_root(request, now=now, key=key)
        pki.write_root(paths, certificate_pem=root.certificate_pem, key_pem=root.key_pem)
        return authority

    def ca_pem(self) -> bytes:
        """The CA's certificate. Raises WrongState where there is none yet."""
        data = files.read_optional(self.pair(CA).certificate)
        if data is None:
            raise WrongState("there is no CA yet", to=self.pair(CA).certificate, hint="run `groundplane up`")
        return data

    def for_host(self, host: Host) -> tuple[WantedFile, ...]:
        """The certificates and keys that a host needs, key before certificate."""
        found = [WantedFile(path=layout.CA, data=self.ca_pem())]
        if Role.ETCD in host.roles:
            found.extend(self._copy(ETCD, layout.ETCD_CERT, layout.ETCD_KEY))
        if Role.NODE in host.roles:
            found.extend(self._copy(agent_name(host.name), layout.AGENT_CERT, layout.AGENT_KEY))
        return tuple(found)

    def _copy(self, name: str, certificate: Path, key: Path) -> tuple[WantedFile, WantedFile]:
        pair = self.pair(name)
        return (
            WantedFile(path=key, data=pair.key.read_bytes(), mode=files.PRIVATE),
            WantedFile(path=certificate, data=pair.certificate.read_bytes()),
        )

    def forget(self, name: str) -> None:
        """Remove a certificate and its key; already gone is fine."""
        pair = self.pair(name)
        pair.certificate.unlink(missing_ok=True)
        pair.key.unlink(missing_ok=True)

    def described(self, *, now: datetime) -> tuple[pki.Description, ...]:
        """Every certificate that is here, for status tables, by file name."""
        found = []
        for path in sorted(self.directory.glob("*.pem")) if self.directory.is_dir() else ():
            if not path.name.endswith("-key.pem"):
                seen = pki.see(pki.load_certificate(path.read_bytes(), source=str(path)))
                found.append(pki.describe(seen, path=path, now=now))
        return tuple(found)
