"""The table of what a person said about conflicts.

Which versions of a cell are in conflict every device works out alone, and each conflict has the same key everywhere.
A resolution is an ordinary row whose id is that key: it reaches all devices, holds where the conflict is known, and
can be taken back. It names the record and the column and repeats nothing of what they hold. The table travels in the
profile stream, which every device has: a conflict that was settled once is not asked about again elsewhere.
"""

from node.store.schema import Column, Component, Table
from sync.streams import Stream

_RESOLUTIONS = Table(
    name="conflict_resolutions",
    stream=Stream.PROFILE,
    columns=(
        Column(name="table_name", type="TEXT", strategy="immutable", default="''"),
        Column(name="record_id", type="BLOB", strategy="immutable"),
        Column(name="column_name", type="TEXT", strategy="immutable", default="''"),
        # 'shown' (what stood stays), 'other' (the losing version was taken), 'text' (a third was written).
        Column(name="choice", type="TEXT", strategy="lww", default="'shown'"),
        # 'resolved', or 'reopened' once a person took it back.
        Column(name="state", type="TEXT", strategy="lww", default="'resolved'"),
        Column(name="resolved_at", type="TEXT", strategy="max"),
    ),
    indexes=("CREATE INDEX conflict_resolutions_by_record ON conflict_resolutions (record_id)",),
)

CONFLICTS = Component(name="conflicts", version=1, kind="core", priority=40, tables=(_RESOLUTIONS,))
