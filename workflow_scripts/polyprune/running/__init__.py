"""Around one stage on one machine: its command line, the warm worker, its GPUs and device, the network."""
