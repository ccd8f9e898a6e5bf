"""Sets a device back to an earlier day without a trace: store and mark together, as a machine's snapshot does."""

from dataclasses import dataclass
from pathlib import Path

from crdt.identifiers import Origin
from node.store.incarnation_mark import mark_path
from tests.support.realm import Replica


@dataclass(frozen=True, slots=True)
class DaysImage:
    """The files of one closed store and its mark."""

    store: bytes
    mark: bytes
    origin: Origin


def take_image(replica: Replica) -> DaysImage:
    """Return the files as they are, closing and opening the store."""
    replica.store.close()
    image = DaysImage(replica.path.read_bytes(), mark_path(replica.path).read_bytes(), replica.store.origin)
    replica.store = replica.open(replica.path)
    return image


def set_back(replica: Replica, image: DaysImage) -> None:
    """Put an image's bytes into the files that are there: the guard can see no difference."""
    replica.store.close()
    write_image(replica.path, image)
    replica.store = replica.open(replica.path)
    assert replica.store.origin == image.origin, "the guard noticed"


def write_image(path: Path, image: DaysImage) -> None:
    """Write an image's bytes over a store and its mark."""
    path.write_bytes(image.store)
    mark_path(path).write_bytes(image.mark)
