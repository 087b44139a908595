"""Make what is missing or due under the output directory, keep what is good, and say why of each.

Order: CAs, the service account's key, leaves, copies to hosts; each file whole or as it was, so that a run that was cut
short is completed by the next. A CA is never replaced (`lifecycle.assess_root`).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from groundplane.errors import NotFound, WrongState
from groundplane.pki import keys
from groundplane.pki.authority import Authority as Issuer
from groundplane.pki.authority import Issued
from groundplane.pki.files import PairPaths, observe_pair, write_pair, write_root
from groundplane.pki.kubernetes.kubeconfig import Content, read, render
from groundplane.pki.kubernetes.model import Authority, Cluster, Copy, Form, Inventory, Leaf
from groundplane.pki.kubernetes.plan import SERVICE_ACCOUNT, inventory
from groundplane.pki.lifecycle import Issue, Keep, Refuse, assess, assess_root
from groundplane.pki.model import KeyAlgorithm, KeySpec, SeenPair
from groundplane.pki.policy import plan_root
from groundplane.pki.seen import see_pair
from groundplane.system import files

_SERVICE_ACCOUNT_KEY = KeySpec(algorithm=KeyAlgorithm.RSA, size=2048)  # RS256 is what every verifier of tokens knows


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of one thing: `made` empty says that it was kept, else why it was made (or would be)."""

    place: PurePosixPath
    what: str
    made: str = ""
    until: datetime | None = None
    serial: str = ""


@dataclass(slots=True, kw_only=True)
class Workshop:
    """The output directory. `dry`: look, and change nothing."""

    top: Path
    cluster: Cluster
    now: datetime
    dry: bool = False

    def run(self) -> Iterator[Outcome]:
        """Everything, in order. Raises WrongState for a CA that is not as wanted, NotFound in a dry run without CAs."""
        wanted: Inventory = inventory(self.cluster)
        if not self.dry:
            files.ensure_directory(self.top, mode=files.PRIVATE_DIR)
        issuers: dict[str, Issuer] = {}
        for authority in wanted.authorities:
            outcome, issuer = self._authority(authority)
            yield outcome
            if issuer is not None:
                issuers[authority.name] = issuer
        yield self._service_account()
        for leaf in wanted.leaves:
            yield self._leaf(leaf, issuers.get(leaf.ca))
        for copy in wanted.copies:
            yield self._copy(copy)

    def _authority(self, wanted: Authority) -> tuple[Outcome, Issuer | None]:
        paths = PairPaths(certificate=self.top / wanted.certificate, key=self.top / wanted.key)
        existing = observe_pair(paths, issuer=None)
        plan = plan_root(wanted.request, now=self.now)
        what = f"CA {wanted.request.common_name}"
        match assess_root(existing, plan, now=self.now):
            case Refuse(reason, hint):
                raise WrongState(reason, to=paths.certificate, hint=hint)
            case Issue(reason, with_key):
                if self.dry:
                    return Outcome(place=wanted.certificate, what=what, made=reason), None
                key = keys.load_key(paths.key.read_bytes(), source=str(paths.key)) if with_key else None
                issuer, issued = Issuer.create_root(wanted.request, now=self.now, key=key)
                files.ensure_directory(paths.key.parent, mode=files.PRIVATE_DIR)
                write_root(paths, certificate_pem=issued.certificate_pem, key_pem=issued.key_pem)
                until, serial = issued.seen.not_after, str(issued.seen.serial)
                return Outcome(place=wanted.certificate, what=what, made=reason, until=until, serial=serial), issuer
            case Keep():
                paths.key.chmod(files.PRIVATE)
        loaded = Issuer.load(paths.certificate.read_bytes(), paths.key.read_bytes(), source=str(paths.certificate))
        return Outcome(place=wanted.certificate, what=what, until=loaded.seen.not_after), loaded

    def _service_account(self) -> Outcome:
        """The key that signs service accounts' tokens; the public half is made of it."""
        private, public = self.top / SERVICE_ACCOUNT / "sa.key", self.top / SERVICE_ACCOUNT / "sa.pub"
        place, what = SERVICE_ACCOUNT / "sa.key", "service account's key"
        existing = files.read_optional(private)
        reason = "" if existing is not None else "there is none yet"
        if self.dry and existing is None:
            return Outcome(place=place, what=what, made=reason)
        key = keys.generate(_SERVICE_ACCOUNT_KEY) if existing is None else keys.load_key(existing, source=str(private))
        half = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        if not self.dry:
            files.ensure_directory(private.parent, mode=files.PRIVATE_DIR)
            if existing is None:
                files.replace(private, keys.dump_key(key), mode=files.PRIVATE)
        if files.read_optional(public) != half:
            reason = reason or "its public half is missing, or another's"
            if not self.dry:
                files.replace(public, half)
        return Outcome(place=place, what=what, made=reason)

    def _leaf(self, wanted: Leaf, issuer: Issuer | None) -> Outcome:
        what = f"{wanted.name} of {wanted.host}"
        place = wanted.path.with_name(f"{wanted.path.name}.crt") if wanted.form is Form.PAIR else wanted.path
        if issuer is None:
            return Outcome(place=place, what=what, made="its CA is not there yet")
        existing = self._existing(wanted, issuer.certificate)
        is_there = existing.has_certificate or existing.has_key
        plan = issuer.plan(wanted.request, wanted.profile, now=self.now)
        decided = assess(existing if is_there else None, plan, now=self.now)
        stale = self._stale(wanted, issuer) if isinstance(decided, Keep) else ""
        if isinstance(decided, Keep) and not stale:
            return Outcome(
                place=place, what=what, until=None if existing.certificate is None else existing.certificate.not_after
            )
        reason = decided.reason if isinstance(decided, Issue) else stale
        if self.dry:
            return Outcome(place=place, what=what, made=reason)
        issued = issuer.issue(wanted.request, wanted.profile, now=self.now)
        self._write(wanted, issued, issuer)
        until, serial = issued.seen.not_after, str(issued.seen.serial)
        return Outcome(place=place, what=what, made=reason, until=until, serial=serial)

    def _existing(self, wanted: Leaf, issuer: x509.Certificate) -> SeenPair:
        path = self.top / wanted.path
        if wanted.form is Form.PAIR:
            return observe_pair(_pair(path), issuer=issuer)
        data = files.read_optional(path)
        if data is None:
            return see_pair(None, None, issuer=issuer, certificate_source=str(path), key_source=str(path))
        content = read(data)
        if content is None:
            return SeenPair(has_certificate=True, has_key=True, troubles=(f"{path} is no kubeconfig of ours",))
        name = str(path)
        return see_pair(content.certificate, content.key, issuer=issuer, certificate_source=name, key_source=name)

    def _stale(self, wanted: Leaf, issuer: Issuer) -> str:
        """What else of a kubeconfig may be out of date."""
        if wanted.form is not Form.KUBECONFIG:
            return ""
        content = read((self.top / wanted.path).read_bytes())
        assert content is not None
        if content.server != wanted.server:
            return f"it is for {content.server}, and {wanted.server} is wanted"
        return "" if content.ca == _pem(issuer) else "it trusts another CA"

    def _write(self, wanted: Leaf, issued: Issued, issuer: Issuer) -> None:
        path = self.top / wanted.path
        files.ensure_directory(path.parent)
        if wanted.form is Form.PAIR:
            write_pair(_pair(path), certificate_pem=issued.certificate_pem, key_pem=issued.key_pem)
            return
        content = Content(server=wanted.server, ca=_pem(issuer), certificate=issued.certificate_pem, key=issued.key_pem)
        files.replace(path, render(content, cluster=self.cluster.name, user=wanted.user), mode=files.PRIVATE)

    def _copy(self, copy: Copy) -> Outcome:
        target, source = self.top / copy.target, self.top / copy.source
        data, existing = files.read_optional(source), files.read_optional(target)
        what = f"copy of {copy.source}"
        if data is None:
            if not self.dry:
                raise NotFound("it was there a moment ago", to=source, hint="run this again")
            return Outcome(place=copy.target, what=what, made="what it is a copy of is not there yet")
        mode = files.PRIVATE if copy.private else files.PUBLIC
        if existing == data:
            if not self.dry and target.stat().st_mode & 0o777 != mode:
                target.chmod(mode)
            return Outcome(place=copy.target, what=what)
        reason = "there is none yet" if existing is None else "it is another one"
        if not self.dry:
            files.ensure_directory(target.parent)
            files.replace(target, data, mode=mode)
        return Outcome(place=copy.target, what=what, made=reason)


def _pair(path: Path) -> PairPaths:
    return PairPaths(certificate=path.with_name(f"{path.name}.crt"), key=path.with_name(f"{path.name}.key"))


def _pem(issuer: Issuer) -> bytes:
    return issuer.certificate.public_bytes(Encoding.PEM)
