"""Writes the systemd user unit of a node.

The sandbox consists of what needs no mount namespace, since a person's own systemd may not make one on every system
(kernels and AppArmor profiles differ), and a node that does not start protects nothing: system calls, address families
and privileges are narrowed, core dumps are off because they would hold keys. Format: systemd.service(5),
systemd.exec(5), systemd.syntax(7).
"""

from node.autostart.supervised import Supervised

_UNIT = """\
# Made by `nuthatch service install`; `nuthatch service uninstall` takes it away. It holds no secret.
[Unit]
Description=Nuthatch, a private memory on your own devices
StartLimitIntervalSec=600
StartLimitBurst=5

[Service]
Type=notify
ExecStart={command}
Restart=on-failure
RestartSec=10
# Wrong usage or settings, a wrong passphrase, refused: trying again would not help.
RestartPreventExitStatus=2 3 5
# Opening a large store after a power cut takes its time.
TimeoutStartSec=600
TimeoutStopSec=30
# What happens is for programs that ask (`nuthatch events`); what a person has to know is logged.
StandardOutput=null
StandardError=journal
UMask=0077
# A core dump would hold the keys.
LimitCORE=0
NoNewPrivileges=yes
LockPersonality=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
RestrictNamespaces=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallErrorNumber=EPERM

[Install]
WantedBy=default.target
"""


def unit_text(supervised: Supervised) -> str:
    """Return the unit as it stands in the file; the arguments hold no control character (`supervised_node`)."""
    return _UNIT.format(command=" ".join(quoted(argument) for argument in supervised.command))


def quoted(argument: str) -> str:
    """Return one argument of a command line in a unit: in quotes, nothing of it expanded (systemd.syntax(7))."""
    escaped = argument.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return f'"{escaped}"'
