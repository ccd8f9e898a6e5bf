"""Makes the signed pages in which rows travel to a peer: the pages of a snapshot, and those that repair ranges."""

from collections.abc import Mapping, Sequence

from crdt.identifiers import DeviceId
from crdt.row import Layout
from node.store.authoring import Author
from node.store.row_ranges import RowRanges
from node.store.store_parts import SnapshotPage, StoreParts
from sync.row_ranges import RowRange
from sync.snapshot import REPAIR_ID, START, Manifest, PageSection, RowKey, make_page
from sync.streams import Stream


class SignedPages:
    """The committed rows of one store, as its device vouches for them."""

    __slots__ = ("_author", "_parts", "ranges")

    def __init__(self, parts: StoreParts, author: Author) -> None:
        """Read from `parts`, sign for `author`."""
        self._parts = parts
        self._author = author
        self.ranges = RowRanges(parts.database, parts.catalogue, parts.spelling)

    def manifest(self, stream: Stream, snapshot_id: bytes) -> Manifest:
        """Return what pages of a stream read from now on are of."""
        state = self._parts.log.view().stream(stream)
        return Manifest(
            stream=stream,
            snapshot_id=snapshot_id,
            frontier=state.frontier,
            rows=state.rows,
            log_base=self._parts.log.base(stream),
        )

    def read(self, manifest: Manifest, index: int, after: RowKey, bytes_max: int) -> SnapshotPage:
        """Return the signed page `index` of a snapshot, of the rows that follow `after`."""
        vector = self._parts.log.view().stream(manifest.stream).frontier.vector()
        draft = self._parts.reader.read(manifest.stream, vector, after, bytes_max)
        raw = self._signed(manifest, index, after, draft.sections)
        return SnapshotPage(raw=raw, next_cursor=draft.next_cursor)

    def read_repair(
        self, stream: Stream, ranges: Sequence[RowRange], bytes_max: int
    ) -> tuple[Manifest, bytes, tuple[RowRange, ...]]:
        """Return what a page of rows of these ranges is of, the signed page, and the ranges that are left."""
        manifest = self.manifest(stream, REPAIR_ID)
        draft = self.ranges.read(stream, ranges, manifest.frontier.vector(), bytes_max)
        return manifest, self._signed(manifest, 0, START, draft.sections), draft.rest

    def _signed(
        self,
        manifest: Manifest,
        index: int,
        after: RowKey,
        section_by_layout: Mapping[tuple[str, Layout], PageSection],
    ) -> bytes:
        return make_page(
            sender=DeviceId(self._author.device_id),
            manifest=manifest,
            index=index,
            after=after,
            section_by_layout=section_by_layout,
            realm_id=self._author.realm_id,
            sign_seed=self._author.sign_seed,
        )
