"""`python -m polyprune STAGE --output … --settings JSON`: how every rule runs its stage."""

import sys

from polyprune.worker import delegate


def main() -> int:
    argv = sys.argv[1:]
    code = delegate(argv)
    if code is None:
        from polyprune.run import run

        code = run(argv)
    return code


if __name__ == "__main__":
    sys.exit(main())
