"""Looks at what opens the device for its service: whether only its person can read it, and whether it is whole."""

import shlex
import stat

from node.autostart.installation import unlock_file_of
from node.doctor.found import bad, good, notice, unknown
from node.errors import HostError
from node.home import Home
from node.keys.key_file import has_service_slot
from node.requests.doctor import Finding

_UNINSTALL = "nuthatch service uninstall"


def service_findings(home: Home) -> list[Finding]:
    """Return what can be said of a home's service; nothing if it has none, or one that reads a passphrase file."""
    file = unlock_file_of(home)
    try:
        opens, there = has_service_slot(home.key_file), file.exists()
        mode = stat.S_IMODE(file.stat().st_mode) if there else 0
    except HostError:
        return []  # the finding about the key file says it
    except OSError as error:
        return [unknown("service", f"The service's key {file} cannot be looked at: {error.strerror}.")]
    if not opens and not there:
        return []
    if there and mode & (stat.S_IRWXG | stat.S_IRWXO):
        said = f"Others on this computer can read {file}, which opens this device for its service."
        return [bad("service", said, f"chmod 600 {shlex.quote(str(file))}")]
    if opens and there:
        return [good("service", f"A service may open this device with the key in {file}.")]
    if opens:
        said = f"A service's key opens this device, and its file {file} is gone: the service cannot start."
        return [notice("service", said, f"nuthatch service install; or {_UNINSTALL}, if somebody may have taken it")]
    return [notice("service", f"The key {file} opens nothing any more.", _UNINSTALL)]
