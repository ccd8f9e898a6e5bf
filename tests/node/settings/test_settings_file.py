"""Settings are read strictly, written beside a person's comments, and explained one by one."""

import re
import stat
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from node.config import LogConfig, NodeConfig, PassphraseCost, load_config
from node.errors import SettingError
from node.settings.catalogue import SETTING_BY_NAME, SETTINGS, Setting, nearest_name
from node.settings.effective import effective_settings, unknown_variables
from node.settings.file import read_settings, remove_setting, write_setting
from node.settings.kinds import SettingValue


def config_of(home: Path, text: str = "", **environment: str) -> NodeConfig:
    """Return the settings of a process whose home holds this file."""
    if text:
        home.mkdir(exist_ok=True)
        (home / "config.toml").write_text(text)
    return load_config(environment, home_directory=home)


def test_without_a_file_the_defaults_count(tmp_path: Path) -> None:
    expected = NodeConfig(home_directory=tmp_path, discovery=True, log=LogConfig(file_level="info"))
    assert config_of(tmp_path) == expected


def test_the_file_is_read_and_the_environment_counts_before_it(tmp_path: Path) -> None:
    text = '[run]\nlisten = "0.0.0.0:4711"\npeers = ["desk:4711"]\n[log]\nfile_level = "off"\nfile_bytes_max = 8_192\n'
    assert config_of(tmp_path, text).listen == "0.0.0.0:4711"
    config = config_of(tmp_path, text, NUTHATCH_RUN_LISTEN="[::]:4712", NUTHATCH_LOG_LEVEL="INFO")
    assert (config.listen, config.peers) == ("[::]:4712", ("desk:4711",))
    assert config.log == LogConfig(level="info", file_level=None, file_bytes_max=8192)


def test_one_variable_sets_both_costs_and_a_more_exact_one_counts_before_it(tmp_path: Path) -> None:
    both = config_of(tmp_path, NUTHATCH_PASSPHRASE_COST="interactive")
    assert both.device_cost is both.owner_cost is PassphraseCost.INTERACTIVE
    one = config_of(tmp_path, NUTHATCH_PASSPHRASE_COST="interactive", NUTHATCH_PASSPHRASE_OWNER_COST="moderate")
    assert (one.device_cost, one.owner_cost) == (PassphraseCost.INTERACTIVE, PassphraseCost.MODERATE)


def test_addresses_in_a_variable_are_separated_by_commas_or_spaces(tmp_path: Path) -> None:
    assert config_of(tmp_path, NUTHATCH_RUN_PEERS="a:1,b:2 [::1]:3").peers == ("a:1", "b:2", "[::1]:3")


def test_the_passphrase_file_is_found_from_the_home(tmp_path: Path) -> None:
    assert config_of(tmp_path, '[passphrase]\nfile = "secret"\n').passphrase_file == tmp_path / "secret"
    assert config_of(tmp_path, '[passphrase]\nfile = "/run/secret"\n').passphrase_file == Path("/run/secret")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('[run]\nlisen = "a:1"\n', "There is no setting 'run.lisen'. Did you mean run.listen?"),
        ('listen = "a:1"\n', "There is no setting 'listen'. Did you mean run.listen?"),
        ('[node]\nlisten = "a:1"\n', "There is no setting 'node.listen'. Did you mean run.listen?"),
        ("[log]\nzebra = 1\n", "There is no setting 'log.zebra'. `nuthatch config show` lists all of them."),
        ('[run]\nlisten = "a"\n', "run.listen cannot be 'a': 'a' is not an address"),
        ('[run]\napi = "0.0.0.0:80"\n', "run.api cannot be '0.0.0.0:80': it must be a loopback address"),
        ("[run]\nlisten = 4711\n", "run.listen cannot be 4711: it must be host:port in quotes."),
        ('[run]\npeers = "a:1"\n', "it must be a list of addresses"),
        ('[run]\npeers = ["a:1", "b"]\n', "'b' is not an address"),
        ('[log]\nlevel = "loud"\n', "it must be one of debug, info, warning, error, critical."),
        ("[log]\nfile_bytes_max = 1\n", "it must be a whole number from 4096 to 1073741824."),
        ("[log]\nfiles_max = true\n", "it must be a whole number from 2 to 100."),
        ('[passphrase]\nfile = "a\\nb"\n', "it must be the path of a file."),
        ("[run]\nlisten = \n", "is not valid TOML: Invalid value (at line 2, column 10)."),
    ],
)
def test_what_is_wrong_in_the_file_is_said_with_its_place(tmp_path: Path, text: str, sentence: str) -> None:
    with pytest.raises(SettingError, match=re.escape(sentence)) as raised:
        config_of(tmp_path, text)
    assert str(tmp_path / "config.toml") in str(raised.value)


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_bytes(b"[run]\n# \xff\n")
    with pytest.raises(SettingError, match=r"not valid UTF-8 text \(byte 8\)"):
        config_of(tmp_path)


def test_a_wrong_variable_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=r"NUTHATCH_LOG_FILES_MAX cannot be 'many': it must be a whole number"):
        config_of(tmp_path, NUTHATCH_LOG_FILES_MAX="many")


def test_a_misspelt_variable_is_told_with_what_was_meant() -> None:
    environment = {"NUTHATCH_RUN_LISTEM": "a:1", "NUTHATCH_HOME": "/x", "NUTHATCH_LOG_LEVEL": "info", "PATH": "/bin"}
    assert unknown_variables(environment) == ["NUTHATCH_RUN_LISTEM is no setting. Did you mean NUTHATCH_RUN_LISTEN?"]


PERSONS_FILE = """\
# My laptop.
[run]  # the node
listen = "0.0.0.0:4711"   # the firewall knows it
# the desktop in the study
peers = ["desk:4711"]

[log]
# kept long
files_max = 50
"""


def test_a_persons_comments_and_order_survive_a_setting(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text(PERSONS_FILE)
    write_setting(path, SETTING_BY_NAME["run.listen"], "0.0.0.0:9")
    assert path.read_text() == PERSONS_FILE.replace('4711"   # the', '9"   # the')
    assert remove_setting(path, "run.peers")
    assert remove_setting(path, "log.files_max")
    assert [line for line in path.read_text().splitlines() if "#" in line] == [
        "# My laptop.",
        "[run]  # the node",
        'listen = "0.0.0.0:9"   # the firewall knows it',
        "# the desktop in the study",
        "# kept long",
    ]


def test_a_new_file_explains_itself_and_is_its_persons_alone(tmp_path: Path) -> None:
    path = tmp_path / "new" / "config.toml"
    write_setting(path, SETTING_BY_NAME["log.level"], "debug")
    assert path.read_text().startswith("# Settings of this device.")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert read_settings(path) == {"log.level": "debug"}


def test_a_file_that_is_kept_elsewhere_stays_a_link(tmp_path: Path) -> None:
    elsewhere, path = tmp_path / "dotfiles.toml", tmp_path / "config.toml"
    elsewhere.write_text("# mine\n")
    path.symlink_to(elsewhere)
    write_setting(path, SETTING_BY_NAME["log.level"], "debug")
    assert path.is_symlink()
    assert elsewhere.read_text().startswith("# mine\n")


def test_a_wrong_name_can_be_taken_out(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text('stray = 1\n[run]\nlisen = "a:1"\n')
    assert remove_setting(path, "run.lisen")
    assert remove_setting(path, "stray")
    assert not remove_setting(path, "run.listen")
    assert read_settings(path) == {}


def test_an_unreadable_file_is_not_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text("[run\n")
    with pytest.raises(SettingError, match="not valid TOML"):
        write_setting(path, SETTING_BY_NAME["log.level"], "debug")
    assert path.read_text() == "[run\n"


VALUES: "st.SearchStrategy[tuple[Setting, SettingValue]]" = st.one_of(
    st.tuples(st.just(SETTING_BY_NAME["run.peers"]), st.lists(st.sampled_from(["a:1", "[::1]:2"])).map(tuple)),
    st.tuples(st.just(SETTING_BY_NAME["log.file_bytes_max"]), st.integers(4096, 2**30)),
    st.tuples(st.just(SETTING_BY_NAME["log.level"]), st.sampled_from(["debug", "error"])),
    st.tuples(
        st.just(SETTING_BY_NAME["passphrase.file"]),
        st.text(st.characters(blacklist_categories=["Cs"], min_codepoint=0x20)),
    ),
)


@settings(derandomize=True, max_examples=60, deadline=None)
@given(steps=st.lists(VALUES, max_size=6))
def test_what_was_set_last_is_what_is_read(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[Setting, SettingValue]]
) -> None:
    path = tmp_path_factory.mktemp("home") / "config.toml"
    path.write_text(PERSONS_FILE)
    expected = dict(read_settings(path))
    for setting, value in steps:
        write_setting(path, setting, value)
        expected[setting.name] = value
    assert read_settings(path) == expected
    for name in list(expected):
        remove_setting(path, name)
    assert read_settings(path) == {}
    assert "# the desktop in the study" in path.read_text()


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.name)
def test_every_setting_is_explained_and_its_default_is_one_of_its_values(setting: Setting) -> None:
    assert len(setting.explanation) > 40
    assert setting.explanation.endswith(".")
    assert setting.kind.takes
    assert setting.kind.checked(setting.default) == setting.default
    effective = effective_settings({}, {}, "config.toml")
    assert effective[setting.name].said_by == "default"


@pytest.mark.parametrize(
    ("wrong", "meant"),
    [("run.listn", "run.listen"), ("Run.Listen", "run.listen"), ("log.file-level", "log.file_level"), ("xyzzy", None)],
)
def test_the_nearest_name_is_suggested(wrong: str, meant: str | None) -> None:
    assert nearest_name(wrong) == meant
