"""Stands in for systemctl and loginctl where no systemd runs: obeys a unit's ExecStart and Type=notify, and keeps a
record of how it was called. Run as a script under either name.

It reads the command line by the rules of systemd.syntax(7), written apart from the code that it checks.
"""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

READY_SECONDS = 60.0
_ARGUMENT = re.compile(r'"((?:[^"\\]|\\.)*)"(?:\s+|$)')


def command_line(unit: str) -> list[str]:
    """Return what ExecStart says once quotes, specifiers and variables are resolved; every argument is in quotes."""
    line = re.search(r"^ExecStart=(.*)$", unit, re.MULTILINE)
    assert line is not None
    rest, arguments = line[1], []
    while rest:
        found = _ARGUMENT.match(rest)
        assert found is not None, rest
        arguments.append(re.sub(r"\\(.)", r"\1", found[1]).replace("%%", "%").replace("$$", "$"))
        rest = rest[found.end() :]
    return arguments


def _running(folder: Path, unit: str) -> int | None:
    with suppress(FileNotFoundError, ProcessLookupError):
        number = int((folder / f"{unit}.pid").read_text())
        os.kill(number, 0)
        state = Path(f"/proc/{number}/stat").read_text().rsplit(")", 1)[1].split()[0]
        return number if state != "Z" else None
    return None


def _stop(folder: Path, unit: str) -> None:
    while (number := _running(folder, unit)) is not None:
        os.kill(number, signal.SIGTERM)
        time.sleep(0.05)


def _start(folder: Path, unit: str) -> int:
    file = Path(os.environ["XDG_CONFIG_HOME"]) / "systemd" / "user" / unit
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told, (folder / "journal").open("ab") as journal:
        address = str(folder / "notify")
        Path(address).unlink(missing_ok=True)
        told.bind(address)
        told.settimeout(0.05)
        started = subprocess.Popen(
            command_line(file.read_text()),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=journal,
            env={**os.environ, "NOTIFY_SOCKET": address},
            start_new_session=True,
        )
        (folder / f"{unit}.pid").write_text(str(started.pid))
        waited_until = time.monotonic() + READY_SECONDS
        while started.poll() is None and time.monotonic() < waited_until:
            with suppress(TimeoutError):
                if told.recv(100) == b"READY=1":
                    return 0
    sys.stderr.write(f"Job for {unit} failed because the control process exited with error code.\n")
    return 1


def _obey(folder: Path, verb: str, unit: str) -> int:
    match verb:
        case "show-environment" | "daemon-reload" | "reset-failed":
            return 0
        case "enable":
            (folder / f"{unit}.enabled").touch()
            return 0
        case "restart":
            _stop(folder, unit)
            return _start(folder, unit)
        case "disable":
            (folder / f"{unit}.enabled").unlink(missing_ok=True)
            _stop(folder, unit)
            return 0
        case "show":
            active, sub = ("active", "running") if _running(folder, unit) else ("inactive", "dead")
            enabled = "enabled" if (folder / f"{unit}.enabled").exists() else "disabled"
            print(f"ActiveState={active}\nSubState={sub}\nUnitFileState={enabled}\nResult=success")
            return 0
        case _:
            return 64


def main() -> int:
    """Do what the command line says; the folder of this script keeps what is remembered."""
    folder, name, arguments = Path(sys.argv[0]).parent, Path(sys.argv[0]).name, sys.argv[1:]
    with (folder / "calls").open("a") as calls:
        calls.write(" ".join([name, *arguments]) + "\n")
    if name == "loginctl":
        print("no")
        return 0
    if (folder / "no session").exists():
        sys.stderr.write("Failed to connect to bus: No medium found\n")
        return 1
    words = [argument for argument in arguments if not argument.startswith("--")]
    return _obey(folder, words[0], words[-1])


if __name__ == "__main__":
    sys.exit(main())
