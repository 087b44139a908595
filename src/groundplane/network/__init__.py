"""The pod network: resources, calculation, address management, routes, packet filter, and the agent on each host."""
