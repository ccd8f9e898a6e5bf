"""Says what a scrub found, and when the last one was."""

from collections.abc import Iterable, Mapping

from crdt.identifiers import ROW_ID_BYTES, RowId, row_id_to_text
from node.doctor.found import bad, counted, good, notice
from node.doctor.store_checks import JOIN_ANEW
from node.repositories.values import instant_text
from node.requests.doctor import Finding
from node.service import Service
from node.store.damage import Damage, Kind, ScrubReport

SCRUB_AGE_MILLISECONDS_GOOD = 90 * 86_400_000
REPAIR = "nuthatch doctor --repair"
_PLACES_SHOWN = 3

_ROWS = (
    Kind.ROW_CHANGED,
    Kind.ROW_LOST,
    Kind.ROW_RISEN,
    Kind.ROW_STATE_LOST,
    Kind.ROW_UNREADABLE,
    Kind.TABLE_UNREADABLE,
)
_DIGESTS = (Kind.DIGEST_WRONG, Kind.COUNT_WRONG)
_LOG = (
    Kind.BATCH_CHANGED,
    Kind.BATCH_MISSING,
    Kind.BATCH_UNREADABLE,
    Kind.LOG_UNREADABLE,
    Kind.FRONTIER_WRONG,
)
_WORDS = (Kind.WORDS_MISSING, Kind.WORDS_SURPLUS, Kind.WORDS_WRONG, Kind.INDEX_UNREADABLE)

#: For each family what mends it.
MEND_BY_FAMILY: Mapping[str, str] = {
    "rows": f"Connect another device of yours if you can: it sends again what the log cannot rebuild. Then: {REPAIR}",
    "digests": REPAIR,
    "change log": JOIN_ANEW,
    "search": REPAIR,
}


def scrub_findings(report: ScrubReport) -> list[Finding]:
    """Return one finding for each family of things that a scrub compares."""
    at_rest = f"{counted(report.rows, 'row')} read"
    skipped = ", ".join(report.not_compared)
    digests = (
        notice("digests", f"Writes went on, so the sum of {skipped} was not compared.", "Scrub at a quiet moment.")
        if skipped
        else good("digests", "The digest of every stream is the sum of its rows.")
    )
    return [
        _family("rows", report, _ROWS) or good("rows", f"Every row is what its hash says: {at_rest}."),
        _family("digests", report, _DIGESTS) or digests,
        _family("change log", report, _LOG)
        or good("change log", f"Every batch is as its author signed it: {report.batches:,} verified."),
        _family("search", report, _WORDS)
        or good("search", f"Search finds every text and no other: {report.entries:,} compared."),
    ]


def last_scrub_finding(service: Service) -> Finding:
    """Return when the rows were last compared with their hashes."""
    record = service.store.health().last_scrub()
    if record is None:
        return notice("rows", "The rows were never compared with their hashes.", "nuthatch doctor --scrub")
    at = instant_text(record.at_milliseconds)[:10]
    if record.damaged:
        return bad("rows", f"The last scrub, on {at}, found damage in {record.damaged:,} places.", REPAIR)
    age_milliseconds = service.clock.now_milliseconds() - record.at_milliseconds
    if age_milliseconds > SCRUB_AGE_MILLISECONDS_GOOD:
        return notice("rows", f"The rows were last compared with their hashes on {at}.", "nuthatch doctor --scrub")
    return good("rows", f"Every row was what its hash says on {at}.")


def _family(name: str, report: ScrubReport, kinds: Iterable[Kind]) -> Finding | None:
    found = {kind: report.count_by_kind[kind] for kind in kinds if report.count_by_kind[kind]}
    if not found:
        return None
    sentences = [f"{_sentence(kind, count)}{_places(report.damage, kind)}." for kind, count in found.items()]
    return bad(name, " ".join(sentences), MEND_BY_FAMILY[name])


def _sentence(kind: Kind, count: int) -> str:
    text = kind.value
    return f"{text[0].upper()}{text[1:]}" + (f" ({count:,} times)" if count > 1 else "")


def _places(damage: Iterable[Damage], kind: Kind) -> str:
    places = [f"{found.where} {_named(found.key)}".strip() for found in damage if found.kind is kind]
    shown = ", ".join(places[:_PLACES_SHOWN])
    return f": {shown}{' and others' if len(places) > _PLACES_SHOWN else ''}"


def _named(key: bytes) -> str:
    """Return a row's id as `nuthatch show` takes it, and any other key as it is."""
    return row_id_to_text(RowId(key)) if len(key) == ROW_ID_BYTES else key.hex()
