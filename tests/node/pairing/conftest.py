"""A laptop that belongs to a realm, and a phone that does not yet."""

import shutil
from pathlib import Path

import pytest

from node.composition import init_home
from node.config import NodeConfig
from node.home import Home
from tests.support.two_devices import OWNER_PASSPHRASE, PASSPHRASE, config_of


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("template") / "home"
    init_home(config_of(directory), name="Laptop", passphrase=PASSPHRASE, owner_passphrase=OWNER_PASSPHRASE)
    return directory


@pytest.fixture
def laptop(tmp_path: Path, template: Path) -> NodeConfig:
    return config_of(Path(shutil.copytree(template, tmp_path / "laptop")))


@pytest.fixture
def phone(tmp_path: Path) -> Home:
    return Home(tmp_path / "phone")
