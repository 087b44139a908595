"""Blocks of PEM in any bytes, also those that lost their end."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

_KIND = rb"((?:X509 |TRUSTED )?CERTIFICATE|PKCS7)"
_BEGIN, _END = re.compile(rb"-----BEGIN " + _KIND + rb"-----"), re.compile(rb"-----END " + _KIND + rb"-----")
# What follows a beginning that somebody wrote a certificate after, and not, say, the words of a program that looks for
# one: a line of base64, or nothing but base64 up to the end of what there is.
_LINE = re.compile(rb"[ \t]*\r?\n[ \t]*[A-Za-z0-9+/=]{16}")
_REST = re.compile(rb"[A-Za-z0-9+/=\s]*(?:-{1,5}[A-Z0-9 ]{0,40}-{0,5}\s*)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """What stands between a beginning and its end, both included; `pem` None: it has no end."""

    pem: bytes | None
    is_pkcs7: bool = False


def blocks(data: bytes) -> Iterator[Block]:
    """Those of certificates and PKCS#7, in their order; every name of a certificate becomes `CERTIFICATE`."""
    begins = list(_BEGIN.finditer(data))
    for begin, limit in zip(begins, [*(each.start() for each in begins[1:]), len(data)], strict=False):
        is_pkcs7 = begin[1] == b"PKCS7"
        end = _END.search(data, begin.end(), limit)
        if end is not None and is_pkcs7 is (end[1] == b"PKCS7"):
            body, label = data[begin.end() : end.start()], b"PKCS7" if is_pkcs7 else b"CERTIFICATE"
            yield Block(pem=b"-----BEGIN %b-----%b-----END %b-----" % (label, body, label), is_pkcs7=is_pkcs7)
        elif _is_cut(data[begin.end() : limit]):
            yield Block(pem=None)


def mentions_one(data: bytes) -> bool:
    """Whether there is a beginning at all."""
    return _BEGIN.search(data) is not None


def _is_cut(rest: bytes) -> bool:
    return _LINE.match(rest) is not None or _REST.fullmatch(rest) is not None
