"""Looks at the open store: its tables, its pages, its write-ahead log, the mark beside it, and what waits in it."""

from node.doctor.found import bad, counted, good, notice, sized, unknown
from node.errors import StorageError
from node.requests.doctor import Finding
from node.service import Service
from node.store.incarnation_mark import mark_path

# The engine moves the log into the file at 40 MB; several times that means that it could not.
LOG_BYTES_MAX = 160 * 2**20
# Checking the pages cannot be interrupted: a running node would answer nobody meanwhile.
PAGES_BYTES_MAX_WHILE_RUNNING = 16 * 2**20
JOIN_ANEW = "Restore a backup; or move this home away and run nuthatch join, your other devices hold the rest."
NOTICE_MILLISECONDS = 7 * 86_400_000


def store_findings(service: Service) -> list[Finding]:
    """Return what can be told without reading the rows."""
    return [_layout(service), _members(service), _write_ahead_log(service), _mark(service), _waiting(service)]


def pages_finding(service: Service) -> Finding:
    """Let the engine check its pages; blocks for about a second for each 400 MB."""
    size_bytes = service.store.health().sizes().store_bytes
    if service.links is not None and size_bytes > PAGES_BYTES_MAX_WHILE_RUNNING:
        return unknown(
            "pages",
            f"The {sized(size_bytes)} of the store are not checked page by page while the node runs.",
            "Stop the node and run nuthatch doctor again; or nuthatch doctor --scrub, which reads all rows meanwhile.",
        )
    errors = service.store.health().page_errors()
    if errors:
        return bad("pages", f"The store's file is damaged: {errors[0].rstrip('.')}.", JOIN_ANEW)
    return good("pages", f"All pages of the store ({sized(size_bytes)}) hang together.")


def _layout(service: Service) -> Finding:
    try:
        differences = service.store.health().layout_differences()
    except StorageError as error:
        return bad("tables", str(error), JOIN_ANEW)
    if not differences:
        count = len(service.store.catalogue.tables)
        return good("tables", f"All {counted(count, 'table')} are laid out as this version declares them.")
    more = f" And {len(differences) - 1} more differ." if len(differences) > 1 else ""
    return bad("tables", f"{differences[0]}{more}", JOIN_ANEW)


def _members(service: Service) -> Finding:
    damaged = service.store.health().damaged_statements()
    if damaged:
        return bad(
            "members",
            f"{len(damaged):,} of the statements that say which devices are yours are damaged.",
            "nuthatch doctor --repair, then connect another device of yours: it sends them again",
        )
    count = len(service.membership.roster.active)
    return good("members", f"The statements that make {counted(count, 'device')} yours are whole.")


def _write_ahead_log(service: Service) -> Finding:
    log_bytes = service.store.health().sizes().log_bytes
    if log_bytes > LOG_BYTES_MAX:
        return notice(
            "log file",
            f"The write-ahead log has grown to {sized(log_bytes)}.",
            "Stop the node and start it again: closing the store moves the log into the file.",
        )
    return good("log file", f"The write-ahead log has {sized(log_bytes)}.")


def _mark(service: Service) -> Finding:
    path = mark_path(service.home.store_file)
    if not path.exists():
        return bad(
            "mark",
            "The mark that shows a restored copy is missing beside the store.",
            "Start any command again: it makes a new one.",
        )
    minted = service.store.last_minted()
    if minted.sentence is None or service.clock.now_milliseconds() - minted.at_milliseconds > NOTICE_MILLISECONDS:
        return good("mark", "The store is where it was last written, and as far as it was written.")
    return notice("mark", minted.sentence)


def _waiting(service: Service) -> Finding:
    conflicts = service.store.conflicts()
    held = service.links.held() if service.links is not None else 0
    if held:
        return notice(
            "waiting",
            f"{held:,} of the batches of other devices cannot be taken yet.",
            "nuthatch status says why",
        )
    if conflicts:
        return notice(
            "waiting",
            f"{counted(conflicts, 'conflict')} kept both versions.",
            "nuthatch conflicts",
        )
    derived = service.store.health().derived_rows()
    if derived:
        says = f"{counted(derived, 'record')} hung on something that was deleted, and will be as before if it returns."
        return good("waiting", f"No conflict is open and nothing is held back. {says}")
    return good("waiting", "No conflict is open and nothing is held back.")
