"""CFSSL's programs, as their callers know them: the same JSON, log lines, error codes and exit codes.

`groundplane pki` is strict; this is not: an unknown profile is the default one, an unknown usage nothing,
because a script that ran yesterday must run today. Where the two differ all the same, docs/cfssl.md says so.

Read in this order. Words: `errors` (codes), `journal` (log lines), `flags` (Go's command-line syntax), `flag_table`.
Go's JSON: `gojson` (text to values), `godecode` (values to fields), `gotext` (durations, dates), `goencode`. Documents:
`request`, `config`, `builtin`. Makers: `material` (certificates and keys from PEM), `generate` (key and CSR), `sign`,
`root`, `selfsign`. Readers: `certinfo`, `csrinfo`. `unpack` decides which files cfssljson writes. The doors are in
`groundplane.cli.cfssl`.
"""
