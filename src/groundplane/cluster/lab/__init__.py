"""A whole cluster on one Linux machine: hosts as namespaces, a fabric that no packet can leave.

`paths` where it keeps things, `fabric` the cables, `spawn` how hosts boot, `root` what they see, `init` and `units`
what supervises their processes, `host` and `lab` the doors that bring-up uses, `cgroups` what holds them together.
"""
