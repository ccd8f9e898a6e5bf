"""The tables of projects and of the files that belong to them.

How the strategies were chosen: names, settings and the state of a file's processing are edited as a whole, so `lww`;
a description is `text`; the project of a file and the time it was added are `immutable`; `updated_at` is `max`. A
file whose content changed keeps its row: `content_hash`, `size_bytes` and `chunk_count` describe the content last
processed, `lww`.

Two projects may come to have one name while devices are apart. Both stay, the clash is shown beside the conflicts, and
a look-up by name gives the one that was made first.
Deleting a project deletes its file rows (one stream); conversations and memories of it stay and lose the link.
The tables hold what is known *about* a file; its bytes travel in the streams of files and media.
"""

from node.store.schema import Column, Component, Reference, Table
from sync.streams import Stream

_PROJECTS = Table(
    name="projects",
    stream=Stream.KNOWLEDGE,
    columns=(
        Column(name="name", type="TEXT", strategy="lww", default="''"),
        Column(name="description", type="TEXT", strategy="text", default="''"),
        # 'active' or 'archived'.
        Column(name="status", type="TEXT", strategy="lww", default="'active'"),
        Column(name="settings", type="TEXT", strategy="document", default="'{}'"),
        Column(name="created_at", type="TEXT", strategy="immutable"),
        Column(name="updated_at", type="TEXT", strategy="max"),
    ),
    indexes=("CREATE INDEX projects_by_name ON projects (name)",),
    unique_name=("name",),
)

_PROJECT_FILES = Table(
    name="project_files",
    stream=Stream.KNOWLEDGE,
    columns=(
        Column(name="project_id", type="BLOB", strategy="immutable"),
        Column(name="filename", type="TEXT", strategy="lww", default="''"),
        Column(name="original_path", type="TEXT", strategy="lww"),
        # SHA-256 of the content, 32 bytes.
        Column(name="content_hash", type="BLOB", strategy="lww"),
        Column(name="size_bytes", type="INTEGER", strategy="lww"),
        Column(name="mime_type", type="TEXT", strategy="lww"),
        # pending, processing, ready or failed; `error` says why it failed.
        Column(name="status", type="TEXT", strategy="lww", default="'pending'"),
        Column(name="error", type="TEXT", strategy="lww"),
        Column(name="chunk_count", type="INTEGER", strategy="lww", default="0"),
        Column(name="metadata", type="TEXT", strategy="document", default="'{}'"),
        Column(name="created_at", type="TEXT", strategy="immutable"),
        Column(name="updated_at", type="TEXT", strategy="max"),
    ),
    references=(Reference(column="project_id", table="projects", on_delete="cascade"),),
    indexes=(
        "CREATE INDEX project_files_by_project ON project_files (project_id, created_at)",
        "CREATE INDEX project_files_by_hash ON project_files (content_hash)",
    ),
)

PROJECTS = Component(name="projects", version=1, kind="core", priority=40, tables=(_PROJECTS, _PROJECT_FILES))
