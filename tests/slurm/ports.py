"""Blocks of free ports for clusters that several tests start at the same time."""

from __future__ import annotations

import socket
import zlib
from pathlib import Path

PORTS = 20  # a cluster's block: 0 reserves it, 1 the controller, 2… the nodes, then those of accounting
FIRST_PORT, LAST_PORT = 20000, 32000  # below the ports that the kernel gives to outgoing connections


def reserve_ports(folder: Path) -> tuple[int, socket.socket]:
    """A block of free ports, sought from where the folder's name says; its first is bound, which keeps others away."""
    n_blocks = (LAST_PORT - FIRST_PORT) // PORTS
    start = zlib.crc32(bytes(folder))
    for block in range(n_blocks):
        port = FIRST_PORT + (start + block) % n_blocks * PORTS
        sign = bound_socket(port)
        others = [bound_socket(port + number) for number in range(1, PORTS)]
        for other in filter(None, others):
            other.close()
        if sign and all(others):
            return port, sign
        if sign:
            sign.close()
    raise RuntimeError(f"no {PORTS} free ports in a row between {FIRST_PORT} and {LAST_PORT}")


def bound_socket(port: int) -> socket.socket | None:
    """None if the port is taken."""
    found = socket.socket()
    try:
        found.bind(("127.0.0.1", port))
    except OSError:
        found.close()
        return None
    return found
