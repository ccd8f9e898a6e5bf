"""Says what it means that a home could not be opened or its node not be asked."""

from node.doctor.found import bad
from node.doctor.store_checks import JOIN_ANEW
from node.errors import (
    ConfigError,
    HostError,
    NewerStoreError,
    NotRunningError,
    SettingError,
    StoreLockedError,
    TransportError,
)
from node.requests.doctor import Finding


def refusal_finding(error: HostError) -> Finding:
    """Return the finding for what stopped the examination at the door."""
    match error:
        case NotRunningError():
            return bad("store", str(error), "nuthatch run; or nuthatch doctor --passphrase-file FILE")
        case StoreLockedError():
            return bad(
                "store", str(error), "Wait until it ends; lsof on the file `lock` in the home tells which it is."
            )
        case TransportError():
            return bad("node", str(error), "Stop the node and start it again.")
        case NewerStoreError():
            return bad("store", str(error), "Update Nuthatch on this device.")
        case SettingError():
            return bad("settings", str(error), "nuthatch config set NAME VALUE; or nuthatch config unset NAME")
        case ConfigError():
            return bad("key", str(error), "Restore the key file from a backup.")
        case _:
            return bad("store", str(error), JOIN_ANEW)
