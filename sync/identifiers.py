"""Names for realms, batches and roster statements."""

from typing import NewType

RealmId = NewType("RealmId", bytes)
BatchHash = NewType("BatchHash", bytes)
StatementHash = NewType("StatementHash", bytes)

REALM_ID_BYTES = 32
HASH_BYTES = 32
