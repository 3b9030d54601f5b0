"""Around one stage on one machine: its command line, the warm worker, network, leases of GPUs. No science here."""
