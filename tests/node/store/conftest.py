"""The realms that the store's tests write in."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.realm import Realm, Replica, open_realm


@pytest.fixture
def realm(tmp_path: Path) -> Iterator[Realm]:
    """Two devices that hold nothing yet."""
    opened = open_realm(tmp_path)
    yield opened
    opened.close()


@pytest.fixture
def here(realm: Realm) -> Replica:
    """The device that writes first."""
    return realm.replicas[0]


@pytest.fixture
def there(realm: Realm) -> Replica:
    """The other device."""
    return realm.replicas[1]
