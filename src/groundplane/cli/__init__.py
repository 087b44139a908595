"""The command line: `main` parses and dispatches, a module per group carries out, `show` prints.

Nothing heavy is imported before the command that needs it.
"""
