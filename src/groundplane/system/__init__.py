"""The host's operating system, one outside thing per module; none holds a rule.

`process` runs programs, `files` writes them atomically, `netns` makes and enters network namespaces, `mount` is
mount(2), `cgroup` both cgroup versions, `netlink` links and routes, `inroot` paths that
cannot leave a root, `tree` removes and measures trees of any depth, `clock` time.
Import the module you need (`from groundplane.system import files`): a daemon pays only for what it uses.
"""
