"""The grammar of image names (distribution/reference), parsed and normalised as Docker does.

`[host[:port]/]path[:tag][@digest]`. The first component is a host only if it has a dot or a port or is `localhost`;
otherwise the host is docker.io, and a single name stands under library/. Without tag and digest, the tag is latest;
with both, the digest decides and the tag is dropped. Refused: upper case in the path, an empty part, a bad digest.
"""

import re
from dataclasses import dataclass

from groundplane.errors import Invalid
from groundplane.oci.model import Digest

DEFAULT_HOST, DEFAULT_NAMESPACE, DEFAULT_TAG = "docker.io", "library", "latest"
_FORMER_HOST = "index.docker.io"  # what docker.io was called first; still written, and the same images
_HOST = re.compile(r"(?:[a-zA-Z0-9](?:[a-zA-Z0-9.-]*[a-zA-Z0-9])?|\[[0-9a-fA-F:]+\])(?::[0-9]+)?")
_COMPONENT = re.compile(r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128}")
_LONGEST = 255


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """A normalised name; exactly one of `tag` and `digest` is set."""

    host: str
    path: str
    tag: str = ""
    digest: Digest | None = None

    @property
    def repository(self) -> str:
        """Host and path."""
        return f"{self.host}/{self.path}"

    @property
    def familiar(self) -> str:
        """The shortest form that means the same, for people: without docker.io, library/ and :latest."""
        ending = f"@{self.digest}" if self.digest else "" if self.tag == DEFAULT_TAG else f":{self.tag}"
        name = self.repository
        if self.host == DEFAULT_HOST:
            first, _, rest = self.path.partition("/")
            if first == DEFAULT_NAMESPACE and rest and "/" not in rest:
                name = rest
            elif not _is_host(first):  # or what is a path here would be read as a host
                name = self.path
        return name + ending

    def __str__(self) -> str:
        return f"{self.repository}@{self.digest}" if self.digest else f"{self.repository}:{self.tag}"


def parse_reference(text: str) -> Reference:
    """The reference that `text` names. Raises Invalid."""
    rest, at, digest = text.partition("@")
    if at and not _DIGEST.fullmatch(digest):
        raise Invalid("its digest is not one", to=f"image {text!r}", hint="write @sha256: and 64 hex digits")
    first, slash, after = rest.partition("/")
    if slash and _is_host(first):
        host, path = (DEFAULT_HOST if first == _FORMER_HOST else first), after
    else:
        host, path = DEFAULT_HOST, rest
    path, colon, tag = path.partition(":")
    if colon and not _TAG.fullmatch(tag):
        raise Invalid("its tag is not one", to=f"image {text!r}", hint="a tag has letters, digits, '_', '.' and '-'")
    if host == DEFAULT_HOST and "/" not in path:
        path = f"{DEFAULT_NAMESPACE}/{path}"
    if not _HOST.fullmatch(host) or not all(_COMPONENT.fullmatch(part) for part in path.split("/")):
        hint = "write [host[:port]/]path[:tag], the path in lower case"
        raise Invalid("is not the name of an image", to=f"image {text!r}", hint=hint)
    if len(f"{host}/{path}") > _LONGEST:
        raise Invalid(f"its name is longer than {_LONGEST} characters", to=f"image {text[:40]!r}…")
    if digest:
        return Reference(host=host, path=path, digest=Digest(digest))
    return Reference(host=host, path=path, tag=tag or DEFAULT_TAG)


def _is_host(first: str) -> bool:
    return "." in first or ":" in first or first == "localhost"
