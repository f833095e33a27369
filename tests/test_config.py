"""The configuration: precedence, and what each bad setting is told."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from forgediag.config import Config, TargetConfig, load, state_dir
from forgediag.config.values import ConfigError


def write(tmp_path: Path, text: str) -> str:
    path = tmp_path / "forgediag.toml"
    path.write_text(text, "utf-8")
    return str(path)


def refusal(tmp_path: Path, text: str) -> str:
    with pytest.raises(ConfigError) as error:
        load(write(tmp_path, text), {}, {})
    return str(error.value)


def test_without_anything_the_defaults_hold() -> None:
    assert load(None, {}, {}) == Config()


def test_a_file_sets_everything_it_names(tmp_path: Path) -> None:
    text = """
        listen = "[::1]:9000"
        hash_models = false
        [pace]
        options = 30
        [sampling]
        busy_hz = 50
        windows = [10, 600]
        [[forge]]
        name = "a"
        url = "http://10.0.0.2:7861"
        paths = {"/app/models" = "/data/models"}
        [[forge]]
        name = "b"
        gpu = "GPU-1"
    """
    config = load(write(tmp_path, text), {}, {})
    assert config.address() == ("::1", 9000)
    assert (config.hash_models, config.pace.options, config.sampling.windows) == (False, 30.0, (10, 600))
    assert [target.name for target in config.targets] == ["a", "b"]
    assert config.targets[0].paths == {"/app/models": "/data/models"}


def test_a_flag_beats_a_variable_beats_the_file(tmp_path: Path) -> None:
    path = write(tmp_path, 'listen = "127.0.0.1:1"\nlog_level = "debug"\n[pace]\noptions = 1\n')
    environ = {"FORGEDIAG_LISTEN": "127.0.0.1:2", "FORGEDIAG_PACE_OPTIONS": "2", "FORGEDIAG_FORGE": "http://env:1"}
    config = load(path, environ, {"listen": "127.0.0.1:3", "forge": None})
    assert config.listen == "127.0.0.1:3"
    assert config.pace.options == 2.0
    assert config.targets[0].url == "http://env:1"
    assert config.log_level == "debug"


def test_a_variable_names_the_file(tmp_path: Path) -> None:
    path = write(tmp_path, 'listen = "127.0.0.1:1"')
    assert load(None, {"FORGEDIAG_CONFIG": path}, {}).listen == "127.0.0.1:1"


def test_an_unknown_key_is_told_with_the_known_ones(tmp_path: Path) -> None:
    text = refusal(tmp_path, "lisen = 1")
    assert "unknown key 'lisen'" in text
    assert "listen" in text
    assert "forge, hash_models" in text
    assert "\n" not in text


def test_an_unknown_key_of_a_section_is_told_with_that_sections_keys(tmp_path: Path) -> None:
    assert "[pace]: unknown key 'x'; known keys: files, flags" in refusal(tmp_path, "[pace]\nx = 1")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("listen = 1", "listen is 1, not a text"),
        ("hash_models = 'maybe'", "hash_models is 'maybe', not true or false"),
        ("[pace]\noptions = 'soon'", "options is 'soon', not a number"),
        ("[pace]\noptions = true", "options is True, not a number"),
        ("[pace]\noptions = 0", "options is 0; it must lie between"),
        ("[sampling]\nwindows = [1.5]", "windows is [1.5], not whole numbers of seconds"),
        ("[sampling]\nwindows = 5", "windows is 5, not whole numbers"),
        ("[sampling]\nwindows = []", "each must lie between 1 and 86400"),
        ("pace = 3", "[pace] is not a table"),
        ("forge = 3", "two brackets"),
        ("[[forge]]\npaths = {a = 1}", "not a table of texts"),
        ("[[forge]]\nurl = 'localhost'", "'localhost' is no URL of a Forge"),
        ("[[forge]]\nurl = 'http://x:99999999'", "is no URL"),
        ("[[forge]]\nurl = 'ftp://x'", "is no URL"),
        ("[[forge]]\ntimeout = 0", "timeout of forge is 0"),
        ("[[forge]]\nauth = 'nocolon'", "auth of forge is not USER:PASS"),
        ("[[forge]]\nauth_file = '/nowhere/x'", "auth_file /nowhere/x of forge cannot be read"),
        ("[[forge]]\n[[forge]]", "not distinct"),
        ('[[forge]]\nname = "other"', "rename it"),
        ("[[forge]]\nlabels = {'a-b' = 'c'}", "label 'a-b' of forge cannot be used"),
        ("[[forge]]\nlabels = {__param_target = 'c'}", "label '__param_target' of forge cannot be used"),
        ("[[forge]]\nlabels = {target = 'c'}", "label 'target' of forge cannot be used"),
        ("probes_at_once = 0", "probes_at_once is 0; it must lie between 1 and 10000"),
        ("listen = 'nine'", "not HOST:PORT"),
        ("log_level = 'loud'", "known levels"),
        ("listen = ", "is not TOML"),
    ],
)
def test_a_bad_setting_is_told_in_one_line(tmp_path: Path, text: str, told: str) -> None:
    line = refusal(tmp_path, text)
    assert told in line
    assert "\n" not in line


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"config file .*gone\.toml cannot be read: No such file"):
        load(str(tmp_path / "gone.toml"), {}, {})
    with pytest.raises(ConfigError, match="cannot be read"):
        load(str(tmp_path), {}, {})


def test_a_variable_of_a_wrong_type_is_named_as_a_variable() -> None:
    with pytest.raises(ConfigError, match="FORGEDIAG_SAMPLING_BUSY_HZ is 'fast', not a number"):
        load(None, {"FORGEDIAG_SAMPLING_BUSY_HZ": "fast"}, {})
    with pytest.raises(ConfigError, match="FORGEDIAG_SAMPLING_WINDOWS is '5,x'"):
        load(None, {"FORGEDIAG_SAMPLING_WINDOWS": "5,x"}, {})
    assert load(None, {"FORGEDIAG_SAMPLING_WINDOWS": "5,50"}, {}).sampling.windows == (5, 50)
    assert load(None, {"FORGEDIAG_HASH_MODELS": "no"}, {}).hash_models is False


def test_a_flag_of_a_wrong_type_is_named_as_a_flag() -> None:
    with pytest.raises(ConfigError, match="'x' is no URL"):
        load(None, {}, {"forge": "x"})
    with pytest.raises(ConfigError, match="--timeout is 'x', not a number"):
        load(None, {}, {"timeout": "x"})


def test_the_auth_file_beats_the_value(tmp_path: Path) -> None:
    secret = tmp_path / "auth"
    secret.write_text("user:pa:ss\nmore\n", "utf-8")
    secret.chmod(stat.S_IRUSR)
    target = TargetConfig(auth="other:one", auth_file=str(secret))
    assert target.credentials() == ("user", "pa:ss")
    assert TargetConfig().credentials() is None


def test_no_password_shows_in_a_printed_config() -> None:
    assert "hunter2" not in repr(Config(targets=(TargetConfig(auth="me:hunter2"),)))


def test_a_password_in_the_url_is_refused_and_not_repeated(tmp_path: Path) -> None:
    line = refusal(tmp_path, "[[forge]]\nurl = 'http://me:hunter2@127.0.0.1:7860'")
    assert "put it into auth_file" in line
    assert "hunter2" not in line


def test_the_state_directory_is_the_platforms_cache_unless_set() -> None:
    assert state_dir(Config(state_dir="/var/x")) == Path("/var/x")
    assert state_dir(Config(), {"XDG_CACHE_HOME": "/c"}) == Path("/c/forgediag")
