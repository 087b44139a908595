"""From the calculation's `Dataplane` to the kernel: `policy` renders the packet filter."""
