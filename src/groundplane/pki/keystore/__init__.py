"""Keys wherever they are kept: encrypted PKCS#8, PKCS#12, Java's JKS, security modules.

`password` (never from argv), `private` (every form of a key's file) with `pbes2` (the encrypted one), `pkcs12`, `jks`,
`pkcs11` with its `uri` and `token`, `open` (one way to a CA's key, wherever it is), `bundle` (key and certificates
together, in and out), `cost` (what a password would cost to try).
"""
