"""Root as a user like others, for processes that are about to start."""

from __future__ import annotations

import ctypes
import os

_prctl = ctypes.CDLL(None, use_errno=True).prctl
_DROP_FROM_BOUNDING_SET = 24
"""PR_CAPBSET_DROP of Linux."""
_OVER_OTHERS = (1, 2, 3)
"""CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH, CAP_FOWNER."""


def without_rights_over_others() -> None:
    """Root is stopped by no permissions: what starts next has root's files, and no more right than others to theirs.

    A job as another user could not even open an interpreter below a folder that only root enters.
    """
    if os.getuid() == 0:
        for capability in _OVER_OTHERS:
            if _prctl(_DROP_FROM_BOUNDING_SET, capability, 0, 0, 0):
                raise PermissionError("this root may not give up a capability")
