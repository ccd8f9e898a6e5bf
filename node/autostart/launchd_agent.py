"""Writes the launchd agent of a node: a property list, as launchd.plist(5) describes it."""

import plistlib

from node.autostart.supervised import Supervised

_LABEL_PREFIX = "org.nuthatch."
_RESTART_SECONDS = 30
_PRIVATE_UMASK = 0o077


def agent_label(supervised_label: str) -> str:
    """Return the label under which launchd knows the agent."""
    return _LABEL_PREFIX + supervised_label


def agent_plist(supervised: Supervised) -> bytes:
    """Return the property list.

    launchd restarts whatever did not end well, without regard to the exit code, so it is told to take its time.
    """
    return plistlib.dumps(
        {
            "Label": agent_label(supervised.label),
            "ProgramArguments": list(supervised.command),
            "RunAtLoad": True,
            "KeepAlive": {"SuccessfulExit": False},
            "ThrottleInterval": _RESTART_SECONDS,
            "ProcessType": "Background",
            "Umask": _PRIVATE_UMASK,
            # A core dump would hold the keys.
            "HardResourceLimits": {"Core": 0},
            "SoftResourceLimits": {"Core": 0},
            # What has to be known is in node.log of the home, which turns over; these would grow for ever.
            "StandardOutPath": "/dev/null",
            "StandardErrorPath": "/dev/null",
        },
        sort_keys=True,
    )
