"""Makes batches and pages that a member's device could sign, but that the store's own code would never write."""

from collections.abc import Sequence

from msgspec.msgpack import encode

from crdt.identifiers import HybridTime, Origin, make_origin, make_stamp
from crdt.row import Layout, hash_body, hash_prefix
from crdt.strategies import STRATEGY_BY_NAME
from node.store.catalogue import Catalogue
from sync.batch import NO_PREVIOUS, BatchDraft, make_batch
from sync.frontier import EMPTY_FRONTIER, PREFIX_BYTES, Dependency, Frontier
from sync.identifiers import BatchHash
from sync.snapshot import Manifest, PageSection, SectionDraft, make_page
from sync.streams import Stream
from tests.support.realm import Replica

#: (layout index, born, spelled row, ((column index, stamp), …))
PageRow = tuple[int, bytes, bytes, tuple[tuple[int, bytes], ...]]

FORGED_INCARNATION = b"forgery!"
SNAPSHOT_ID = b"forged snapshot!"


def layout_of(replica: Replica, table: str) -> Layout:
    """Return the whole layout of a table."""
    return Catalogue(tuple(replica.components)).table_by_name[table].layout


def column(name: str, strategy: str) -> tuple[str, int]:
    """Return one column of a layout."""
    return name, STRATEGY_BY_NAME[strategy].code


def sections_of(
    layouts: Sequence[tuple[str, Layout]], rows: Sequence[PageRow]
) -> dict[tuple[str, Layout], PageSection]:
    """Return the sections of rows, those of each layout in the order in which they are given."""
    drafts = [SectionDraft() for _ in layouts]
    for index, born, body, stamps in rows:
        drafts[index].add([born], [body], stamps)
    return {layout: draft.finish() for layout, draft in zip(layouts, drafts, strict=True)}


class Forger:
    """A member that signs whatever it likes, under an incarnation of its own, in an unbroken chain."""

    def __init__(self, member: Replica, stream: Stream = Stream.FILES) -> None:
        self.member = member
        self.stream = stream
        self.origin: Origin = make_origin(member.device_id, FORGED_INCARNATION)
        self.seq = 0
        self.head: BatchHash = NO_PREVIOUS

    def batch(
        self,
        changes: Sequence[tuple[str, Layout, bytes]],
        *,
        deps: tuple[Dependency, ...] = (),
        hlc: int | None = None,
        stream: Stream | None = None,
        stands_for: tuple[tuple[Origin, int, BatchHash], ...] = (),
    ) -> bytes:
        """Return a signed batch of (table, layout, spelled row) changes."""
        self.seq += 1
        time = self.member.time.milliseconds << 16 if hlc is None else hlc
        stamp = make_stamp(time, self.origin, self.seq)
        layouts = list(dict.fromkeys((table, layout) for table, layout, _ in changes))
        own = (Dependency(self.origin, self.seq - 1, self.head[:PREFIX_BYTES]),) if self.seq > 1 else ()
        draft = BatchDraft(
            origin=self.origin,
            stream=self.stream if stream is None else stream,
            seq=self.seq,
            prev=self.head,
            deps=tuple(sorted((*deps, *own))),
            hlc=HybridTime(time),
            schemas=(("drill", 1),),
            group=b"",
            layouts=tuple(layouts),
            changes=[
                (layouts.index((table, layout)), row, hash_body(hash_prefix(table, layout, stamp), row))
                for table, layout, row in changes
            ],
            stands_for=stands_for,
        )
        raw, self.head = make_batch(
            draft,
            salts=bytes(16 * len(changes)),
            realm_id=self.member.author.realm_id,
            sign_seed=self.member.author.sign_seed,
        )
        return raw

    def change(self, table: str, columns: Sequence[tuple[str, int]], *values: object) -> tuple[str, Layout, bytes]:
        """Return a change that spells `values` (row id, generation, payloads…) as they are."""
        return table, tuple(columns), encode(list(values))

    def page(
        self, layouts: Sequence[tuple[str, Layout]], rows: Sequence[PageRow], frontier: Frontier = EMPTY_FRONTIER
    ) -> tuple[Manifest, bytes]:
        """Return a signed snapshot page and the manifest that announces it."""
        manifest = Manifest(stream=self.stream, snapshot_id=SNAPSHOT_ID, frontier=frontier, rows=len(rows))
        raw = make_page(
            sender=self.member.device_id,
            manifest=manifest,
            index=0,
            section_by_layout=sections_of(layouts, rows),
            realm_id=self.member.author.realm_id,
            sign_seed=self.member.author.sign_seed,
        )
        return manifest, raw
