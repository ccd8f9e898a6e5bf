"""The entry of the program: `nuthatch`, and `python -m node`."""

import sys

from node.cli.application import run_command_line


def main() -> int:
    """Perform the command on the command line; return the exit code of the process."""
    return run_command_line(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
