"""`python -m polyprune STAGE --output … --settings JSON`: how every rule runs its stage."""

import gc
import os
import signal
import sys

from polyprune.running import lifeline
from polyprune.running.network import OFFLINE, may_fetch
from polyprune.running.worker import delegate

_INTERRUPTED = 128 + signal.SIGINT
"""As shells say it of a command that Ctrl-C ended. Who pressed it knows where: no traceback."""


def main() -> int:
    lifeline.hold()
    argv = sys.argv[1:]
    code = None
    if not may_fetch(" ".join(argv[:1])):  # the warm worker is offline for good
        os.environ.update(OFFLINE)
        code = delegate(argv)
    if code is None:
        gc.disable()  # until the stage is imported: nothing of that is garbage, and looking took a tenth of it
        from polyprune.running import late_imports
        from polyprune.running.run import run
        from polyprune.running.tokenizers_only import leave_torch_out

        late_imports.install()
        leave_torch_out("".join(argv[:1]))
        code = run(argv)
    return code


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(_INTERRUPTED)
