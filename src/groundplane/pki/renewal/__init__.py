"""Certificates again, before they end: leaves, intermediates and roots, by hand or by a daemon.

`model` is the words, `due` decides when, `reissue` makes the new certificate of an old one, `replace` puts it in place
of the old, `rollover` makes a root's successor with cross-signed certificates. `config` reads the daemon's file, `ask`
has a CFSSL server sign, `keeper` is the daemon.
"""
