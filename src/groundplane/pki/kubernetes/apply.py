"""Make what is missing or due under the output directory, keep what is good, and say why of each.

Order: CAs, the service account's key, leaves, copies to hosts; each file whole or as it was, so that a run that was cut
short is completed by the next, which also removes its drafts. Runs on one directory wait for each other. A CA is never
replaced (`lifecycle.assess_root`), nor is the service account's key: what is lost is taken back from hosts, or refused.
"""

from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from groundplane.errors import Exists, NotFound, WrongState
from groundplane.pki import keys
from groundplane.pki.authority import Authority as Issuer
from groundplane.pki.authority import Issued
from groundplane.pki.files import PairPaths, observe_pair, write_pair, write_root
from groundplane.pki.kubernetes.copies import Rest, rest_of
from groundplane.pki.kubernetes.kubeconfig import Content, read, render
from groundplane.pki.kubernetes.model import Authority, Cluster, Copy, Form, Inventory, Leaf
from groundplane.pki.kubernetes.modes import mend_modes
from groundplane.pki.kubernetes.plan import inventory
from groundplane.pki.kubernetes.tokens import TokenKey
from groundplane.pki.lifecycle import Issue, Keep, Refuse, assess, assess_root
from groundplane.pki.model import SeenPair
from groundplane.pki.policy import plan_root
from groundplane.pki.seen import see_pair
from groundplane.system import files

_SUFFIXES = frozenset({".crt", ".key", ".pub", ".conf"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of one thing: `made` empty says that it was kept, else why it was made or mended (or would be).

    `certificate` is its PEM, if it is one and was kept.
    """

    place: PurePosixPath
    what: str
    made: str = ""
    until: datetime | None = None
    certificate: bytes = b""


@dataclass(slots=True, kw_only=True)
class Workshop:
    """The output directory. `dry`: look, and change nothing.

    `handing_out` is entered with each new certificate and its place before it is written, and left after that: what it
    raises leaves everything as it was.
    """

    top: Path
    cluster: Cluster
    now: datetime
    dry: bool = False
    handing_out: Callable[[Issued, PurePosixPath], AbstractContextManager[None]] = lambda _issued, _place: nullcontext()

    def run(self) -> Generator[Outcome, None, None]:
        """Everything, in order; nobody else has a run in the directory meanwhile.

        Raises WrongState for a CA or a service account's key that is not as wanted, or is lost; Exists for what is no
        directory.
        """
        if self.top.exists() and not self.top.is_dir():
            raise Exists("a file stands here, and a directory is wanted", to=self.top, hint="choose another --out")
        if not self.dry:
            files.ensure_directory(self.top, mode=files.PRIVATE_DIR)
        with ExitStack() as stack:
            if self.top.exists():
                stack.enter_context(files.one_at_a_time(self.top))
            yield from self._leftovers()
            yield from self._all(inventory(self.cluster))

    def _all(self, wanted: Inventory) -> Iterator[Outcome]:
        issuers: dict[str, Issuer] = {}
        for authority in wanted.authorities:
            outcome, issuer = self._authority(authority)
            yield outcome
            if issuer is not None:
                issuers[authority.name] = issuer
        token_key = TokenKey(top=self.top, dry=self.dry)
        made = token_key.make()
        yield Outcome(place=token_key.place, what="service account's key", made=made)
        for leaf in wanted.leaves:
            yield self._leaf(leaf, issuers.get(leaf.ca))
        for copy in wanted.copies:
            yield self._copy(copy)

    def _leftovers(self) -> Iterator[Outcome]:
        """Drafts of keys may be among them, and all of a host's directory is copied to the host."""
        for path in files.drafts(self.top):
            if path.with_suffix("").with_suffix("").suffix not in _SUFFIXES:
                continue  # not ours
            if not self.dry:
                path.unlink()
            place = PurePosixPath(path.relative_to(self.top))
            yield Outcome(place=place, what="a draft", made="a run that was cut short left it: it is removed")

    def _authority(self, wanted: Authority) -> tuple[Outcome, Issuer | None]:
        paths = PairPaths(certificate=self.top / wanted.certificate, key=self.top / wanted.key)
        existing = observe_pair(paths, issuer=None)
        rest = None
        if not (existing.has_certificate and existing.has_key) and (rest := rest_of(self.top, wanted, paths)):
            source, key_source = (str(path) for path in (paths.certificate, paths.key))
            pems = rest.certificate, rest.key
            existing = see_pair(*pems, issuer=None, certificate_source=source, key_source=key_source)
        plan = plan_root(wanted.request, now=self.now)
        what = f"CA {wanted.request.common_name}"
        match assess_root(existing, plan, now=self.now):
            case Refuse(reason, hint):
                if rest is not None:
                    hint = _way_out(rest, paths)
                    reason = f"{reason}, and hosts have {rest.places}"
                raise WrongState(reason, to=paths.certificate, hint=hint)
            case Issue(reason, with_key):
                if self.dry:
                    return Outcome(place=wanted.certificate, what=what, made=reason), None
                pem = None if not with_key else paths.key.read_bytes() if rest is None else rest.key
                key = None if pem is None else keys.load_key(pem, source=str(paths.key))
                issuer, issued = Issuer.create_root(wanted.request, now=self.now, key=key)
                self._write_root(paths, wanted, issued)
                return Outcome(place=wanted.certificate, what=what, made=reason, until=issued.seen.not_after), issuer
            case Keep() if rest is not None:
                return self._take_back(rest, paths, wanted)
            case Keep():
                made = mend_modes((paths.key, files.PRIVATE), (paths.certificate, files.PUBLIC), dry=self.dry)
        pem = paths.certificate.read_bytes()
        loaded = Issuer.load(pem, paths.key.read_bytes(), source=str(paths.certificate))
        until = loaded.seen.not_after
        return Outcome(place=wanted.certificate, what=what, made=made, until=until, certificate=pem), loaded

    def _write_root(self, paths: PairPaths, wanted: Authority, issued: Issued) -> None:
        files.ensure_directory(paths.key.parent, mode=files.PRIVATE_DIR)
        with self.handing_out(issued, wanted.certificate):
            write_root(paths, certificate_pem=issued.certificate_pem, key_pem=issued.key_pem)

    def _take_back(self, rest: Rest, paths: PairPaths, wanted: Authority) -> tuple[Outcome, Issuer]:
        assert rest.certificate is not None
        assert rest.key is not None  # the two fit
        issuer = Issuer.load(rest.certificate, rest.key, source=str(paths.certificate))
        if not self.dry:
            files.ensure_directory(paths.key.parent, mode=files.PRIVATE_DIR)
            write_root(paths, certificate_pem=rest.certificate, key_pem=rest.key)
        what, until = f"CA {wanted.request.common_name}", issuer.seen.not_after
        made = f"it was lost, and is taken back from {rest.places}"
        return Outcome(
            place=wanted.certificate, what=what, made=made, until=until, certificate=rest.certificate
        ), issuer

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
            until = None if existing.certificate is None else existing.certificate.not_after
            made = mend_modes(*_modes(self.top / wanted.path, wanted.form), dry=self.dry)
            return Outcome(place=place, what=what, made=made, until=until, certificate=self._certificate(wanted))
        reason = decided.reason if isinstance(decided, Issue) else stale
        if self.dry:
            return Outcome(place=place, what=what, made=reason)
        issued = issuer.issue(wanted.request, wanted.profile, now=self.now)
        with self.handing_out(issued, place):
            self._write(wanted, issued, issuer)
        return Outcome(place=place, what=what, made=reason, until=issued.seen.not_after)

    def _certificate(self, wanted: Leaf) -> bytes:
        path = self.top / wanted.path
        if wanted.form is Form.PAIR:
            return _pair(path).certificate.read_bytes()
        content = read(path.read_bytes())
        assert content is not None  # it was looked at
        return content.certificate

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
            made = "" if existing is not None else "what it is a copy of is not there yet"
            return Outcome(place=copy.target, what=what, made=made)  # what is there would be taken back from it
        mode = files.PRIVATE if copy.private else files.PUBLIC
        if existing == data:
            return Outcome(place=copy.target, what=what, made=mend_modes((target, mode), dry=self.dry))
        reason = "there is none yet" if existing is None else "it is another one"
        if not self.dry:
            files.ensure_directory(target.parent)
            files.replace(target, data, mode=mode)
        return Outcome(place=copy.target, what=what, made=reason)


def _pair(path: Path) -> PairPaths:
    return PairPaths(certificate=path.with_name(f"{path.name}.crt"), key=path.with_name(f"{path.name}.key"))


def _pem(issuer: Issuer) -> bytes:
    return issuer.certificate.public_bytes(Encoding.PEM)


def _modes(path: Path, form: Form) -> tuple[tuple[Path, int], ...]:
    if form is not Form.PAIR:
        return ((path, files.PRIVATE),)
    pair = _pair(path)
    return (pair.key, files.PRIVATE), (pair.certificate, files.PUBLIC)


def _way_out(rest: Rest, paths: PairPaths) -> str:
    files_of_it = f"{paths.certificate} and {paths.key.name}"
    begin = "to begin with a new CA, which signs every certificate anew"
    return f"put {files_of_it} back from a backup, or move all of it ({rest.everywhere}) away {begin}"
