"""CFSSL's programs: `main` chooses by name; `unpack` is cfssljson, the others are `cfssl`'s commands.

`groundplane links DIR` installs them under CFSSL's names. Nothing that makes or reads certificates is imported before
the command that needs it.
"""
