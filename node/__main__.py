"""The entry of the program: `nuthatch`, and `python -m node`."""

import sys

_INTERRUPTED = 130


def main() -> int:
    """Perform the command on the command line; return the exit code of the process."""
    try:
        # Here and not above: Ctrl-C while the program is still being loaded is one, too.
        from node.cli.application import run_command_line

        return run_command_line(sys.argv[1:])
    except KeyboardInterrupt:
        sys.stderr.write("\nInterrupted.\n")
        return _INTERRUPTED


if __name__ == "__main__":
    sys.exit(main())
