"""What is the virtual lab? Two sites of three VMs each, in network namespaces, made from one description."""
