"""Names of chains and sets: the resource's own name, where nft's text form can say it.

nft reads letters, digits and `/ - _ .`, and the kernel stops at 255 bytes. Any other name is shortened and cleaned, and
gets a hash of the whole; a dot at its front, which no other name has, keeps it from being taken for another's.
"""

import hashlib
import re

_PLAIN = re.compile(r"[A-Za-z0-9/_-][A-Za-z0-9/_.-]*")
_LONGEST = 200  # of NFT_NAME_MAXLEN - 1 = 255, the rest being for prefixes
_CLEANED = 60  # enough to recognise; the hash tells apart


def named(prefix: str, name: str) -> str:
    """`prefix` and the name, made fit."""
    if len(name) <= _LONGEST and _PLAIN.fullmatch(name):
        return prefix + name
    digest = hashlib.sha256(name.encode()).hexdigest()[:16]
    return f"{prefix}.{re.sub(r'[^A-Za-z0-9/_.-]', '-', name)[:_CLEANED]}-{digest}"


def comment(text: str, *, limit: int = 120) -> str:
    """A comment that nft can store (127 bytes) and print back: no quotes, no line ends."""
    clean = re.sub(r'[\x00-\x1f"\\]', " ", text)
    return clean.encode()[:limit].decode(errors="ignore")
