"""The key that signs service accounts' tokens, and its public half: made once, since every token dies with it."""

from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from groundplane.errors import WrongState
from groundplane.pki import keys
from groundplane.pki.kubernetes.copies import Held, held
from groundplane.pki.kubernetes.modes import mend_modes
from groundplane.pki.kubernetes.plan import SERVICE_ACCOUNT
from groundplane.pki.model import KeyAlgorithm, KeySpec
from groundplane.system import files

_SPEC = KeySpec(algorithm=KeyAlgorithm.RSA, size=2048)  # RS256 is what every verifier of tokens knows
_DEADLY = "every token that it signed would be refused"


@dataclass(slots=True, kw_only=True)
class TokenKey:
    """It, below the output directory `top`. `dry`: look, and change nothing."""

    top: Path
    dry: bool = False
    place = SERVICE_ACCOUNT / "sa.key"
    public_place = SERVICE_ACCOUNT / "sa.pub"

    def make(self) -> str:
        """See that both halves are there; returns why something was made, or empty.

        Raises WrongState if the key is lost and not to be had again, Invalid for one that is damaged.
        """
        private, public = self.top / self.place, self.top / self.public_place
        existing = files.read_optional(private)
        back = self._lost_and_found() if existing is None else None
        data = back.data if back is not None else existing
        if data is None and self.dry:
            return "there is none yet"
        key = keys.generate(_SPEC) if data is None else keys.load_key(data, source=str(private))
        half = _public_half(key)
        if existing is not None:
            reason = mend_modes((private, files.PRIVATE), dry=self.dry)
        elif back is not None:
            reason = f"it was lost, and is taken back from {back.place}"
        else:
            reason = "there is none yet"
        if existing is None and not self.dry:
            files.ensure_directory(private.parent, mode=files.PRIVATE_DIR)
            content = keys.dump_key(key) if data is None else data
            files.write_together([files.Wanted(private, content, files.PRIVATE)], over=False)
        if files.read_optional(public) != half:
            reason = reason or "its public half is missing, or another's"
            if not self.dry:
                files.replace(public, half)
        return reason

    def _lost_and_found(self) -> Held | None:
        """The key that hosts have, if it is the one that is missing; None if there never was one."""
        found = held(self.top, self.place)
        publics = {self.top / self.public_place: files.read_optional(self.top / self.public_place)}
        if (public := held(self.top, self.public_place)) is not None:
            publics[public.place] = public.data
        publics = {place: data for place, data in publics.items() if data is not None}
        if found is None and not publics:
            return None
        half = b"" if found is None else _public_half(keys.load_key(found.data, source=str(found.place)))
        for place, data in publics.items():
            if data != half:
                happened = "it is gone" if found is None else f"it is gone, and {found.place} is another one's"
                hint = f"put it back from a backup, or move {place} away to begin with a new one: {_DEADLY}"
                raise WrongState(f"{happened}: its public half is {place}", to=self.top / self.place, hint=hint)
        return found


def _public_half(key: keys.PrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
