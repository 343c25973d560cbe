"""The settings' contract: where a value comes from, what it may be, and what is said when it cannot be used."""

import dataclasses
import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from mqfast import settings as settings_module
from mqfast.errors import SettingsError
from mqfast.settings import CLIENT_SETTINGS, CONFIG, SETTINGS, Settings, load, markdown_table, with_table

README = Path(__file__).parents[2] / "README.md"


def toml(folder: Path, text: str) -> str:
    path = folder / "mqfast.toml"
    path.write_text(text, encoding="utf-8")
    return str(path)


def refused(flags: Mapping[str, str | None] | None = None, environ: Mapping[str, str] | None = None) -> tuple[str, ...]:
    """The lines with which these flags and this environment are refused."""
    with pytest.raises(SettingsError) as caught:
        load(flags or {}, environ or {})
    assert caught.value.exit_status == 2
    assert all("\n" not in line for line in caught.value.lines)
    return caught.value.lines


# Defaults and precedence


def test_defaults_are_those_of_the_contract() -> None:
    settings = load({}, {})
    assert settings == Settings()
    assert settings.hosts == ("localhost",)
    assert settings.port == 6789
    assert settings.unix_socket is None
    assert settings.auth_tokens == ()
    assert 1 <= settings.reactors <= 4
    assert settings.max_line == 16 * 1024 * 1024
    assert settings.max_job_bytes == 1024 * 1024
    assert settings.max_output == 8 * 1024 * 1024
    assert settings.max_memory == 0
    assert settings.max_deliveries == 10
    assert settings.lease_ms == 30 * 60 * 1000
    assert settings.fsync == "always"
    assert (settings.persist, settings.http, settings.http_port) == (None, False, 6790)


def test_reactors_default_to_the_cores_and_at_most_four(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(3)))
    assert load({}, {}).reactors == 3
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(64)))
    assert load({}, {}).reactors == 4


def test_flag_comes_before_environment_before_file_before_default(tmp_path: Path) -> None:
    config = {"config": toml(tmp_path, "port = 3\n")}
    assert load({}, {}).port == 6789
    assert load(config, {}).port == 3
    assert load(config, {"PORT": "2"}).port == 2
    assert load({**config, "port": "1"}, {"PORT": "2"}).port == 1


def test_environment_names_the_file_and_the_flag_comes_before_it(tmp_path: Path) -> None:
    named = {"MQFAST_CONFIG": toml(tmp_path, "port = 3\n")}
    assert load({}, named).port == 3
    other = tmp_path / "other.toml"
    other.write_text("port = 4\n")
    assert load({"config": str(other)}, named).port == 4


def test_bad_value_that_something_else_overrides_does_no_harm() -> None:
    assert load({"port": "1"}, {"PORT": "nonsense"}).port == 1


def test_flag_that_was_not_given_is_no_value() -> None:
    assert load({"port": None}, {"PORT": "2"}).port == 2


def test_every_setting_can_be_given_in_each_place(tmp_path: Path) -> None:
    samples = {"FSYNC": "none", "LOG_LEVEL": "debug", "LOG_FORMAT": "json", "PERSIST": "0"}
    samples |= {
        "HOST": "::1",
        "HTTP_HOST": "::1",
        "AUTH_TOKENS": "a,b",
        "UNIX_SOCKET": "/run/mq.sock",
        "UNIX_SOCKET_MODE": "0600",
    }
    samples |= {"REACTORS": "9", "HTTP": "1", "HTTP_NAMES": "a.example", "HTTP_THREADS": "64", "DASHBOARD": "read"}
    samples |= {"CORS_ORIGIN": "https://a.example", "DASHBOARD_STREAMS": "3"}
    for setting in SETTINGS:
        value = samples.get(setting.env, "2048")
        by_flag = load({setting.key: value}, {})
        assert by_flag == load({}, {setting.env: value}), setting.env
        assert by_flag == load({"config": toml(tmp_path, f'{setting.key} = "{value}"')}, {}), setting.env
        if value != "0":
            assert by_flag != Settings(), setting.env


# Values


@pytest.mark.parametrize(
    ("text", "size"),
    [("4096", 4096), ("16MiB", 16 << 20), ("16 mib", 16 << 20), ("2KiB", 2048), ("1GiB", 1 << 30), ("2048B", 2048)],
)
def test_size_takes_bytes_and_binary_units(text: str, size: int) -> None:
    assert load({}, {"MAX_LINE": text}).max_line == size


@pytest.mark.parametrize("text", ["", "MiB", "16MB", "16M", "1.5MiB", "-1", "1e6", "1_000", "٣", "2GiB", "1023"])
def test_size_that_is_none_is_refused(text: str) -> None:
    (line,) = refused(environ={"MAX_LINE": text})
    assert line.startswith("MAX_LINE (environment variable): expected a size from 1KiB to 1GiB")


@pytest.mark.parametrize("text", ["", "abc", "-1", "65536", "80.0", "0x50", "+80", "9" * 5000])
def test_port_that_is_none_is_refused(text: str) -> None:
    (line,) = refused({"port": text})
    assert line.startswith("PORT (flag --port): expected a whole number from 0 to 65535, got '")
    assert len(line) < 200


@pytest.mark.parametrize("text", ["0", "65"])
def test_reactors_are_between_1_and_64(text: str) -> None:
    assert "from 1 to 64" in refused(environ={"REACTORS": text})[0]


@pytest.mark.parametrize("text", ["", "0", "off", "false", "no", "OFF"])
def test_unix_socket_is_off_for(text: str) -> None:
    assert load({}, {"UNIX_SOCKET": text}).unix_socket is None


@pytest.mark.parametrize("text", ["1", "on", "true", "yes"])
def test_unix_socket_has_its_usual_path_for(text: str) -> None:
    assert load({}, {"UNIX_SOCKET": text}).unix_socket == "/tmp/magic-queue.sock"


def test_unix_socket_takes_a_path_that_the_kernel_can_hold() -> None:
    longest = "/" + "p" * 106
    assert load({}, {"UNIX_SOCKET": longest}).unix_socket == longest
    assert "at most 107 bytes" in refused(environ={"UNIX_SOCKET": longest + "p"})[0]
    assert "at most 107 bytes" in refused(environ={"UNIX_SOCKET": "/" + "é" * 54})[0]


@pytest.mark.parametrize(("text", "mode"), [("0660", 0o660), ("600", 0o600), ("0o777", 0o777), ("0", 0)])
def test_unix_socket_mode_is_octal(text: str, mode: int) -> None:
    assert load({}, {"UNIX_SOCKET_MODE": text}).unix_socket_mode == mode


def test_unix_socket_mode_refuses_what_is_no_mode_and_a_toml_number(tmp_path: Path) -> None:
    for text in ("", "rw", "888", "1777"):
        assert "an octal file mode" in refused(environ={"UNIX_SOCKET_MODE": text})[0]
    assert "as text" in refused({"config": toml(tmp_path, "unix_socket_mode = 660")})[0]


def test_hosts_are_split_at_commas_and_lose_their_brackets() -> None:
    assert load({}, {"HOST": "0.0.0.0, [::1],db.local"}).hosts == ("0.0.0.0", "::1", "db.local")
    for text in ("", "a,,b", "[]"):
        assert refused(environ={"HOST": text})[0].startswith("HOST (environment variable): expected one or more")


def test_toml_values_have_their_own_types(tmp_path: Path) -> None:
    text = 'port = 7000\nmax_line = "1MiB"\nmax_output = 4096\nunix_socket = true\nhttp = false\nhost = ["::1"]\n'
    settings = load({"config": toml(tmp_path, text)}, {})
    assert (settings.port, settings.max_line, settings.max_output) == (7000, 1 << 20, 4096)
    assert (settings.unix_socket, settings.http, settings.hosts) == ("/tmp/magic-queue.sock", False, ("::1",))


@pytest.mark.parametrize(
    "text",
    [
        "port = true",
        "port = 1.0",
        "port = [1]",
        "port = 1979-05-27",
        "lease = {a = 1}",
        "host = 1",
        "max_line = false",
        "log_level = 1",
        "auth_tokens = [1]",
        "http = 2",
        "unix_socket = 5",
    ],
)
def test_toml_value_of_another_type_is_refused(tmp_path: Path, text: str) -> None:
    path = toml(tmp_path, text)
    key = text.split()[0]
    (line,) = refused({"config": path})
    assert line.startswith(f"{key.upper()} (key {key} in {path}): expected ")


# Tokens


def test_tokens_are_split_at_commas_and_a_toml_list_is_kept_as_it_is(tmp_path: Path) -> None:
    assert load({}, {"AUTH_TOKENS": "one, two"}).auth_tokens == ("one", "two")
    assert load({}, {"AUTH_TOKENS": ""}).auth_tokens == ()
    assert load({"config": toml(tmp_path, 'auth_tokens = ["a,b", " c "]')}, {}).auth_tokens == ("a,b", " c ")


@pytest.mark.parametrize("text", ["secret,", ",secret", "secret,,other", " ", "secret\udcff"])
def test_tokens_that_cannot_be_are_refused_without_being_shown(text: str) -> None:
    (line,) = refused(environ={"AUTH_TOKENS": text})
    assert line.startswith("AUTH_TOKENS (environment variable): expected one or more tokens")
    assert "secret" not in line


def test_tokens_are_not_in_the_text_of_the_settings() -> None:
    assert "secret" not in repr(load({}, {"AUTH_TOKENS": "secret"}))


# Settings of later versions


@pytest.mark.parametrize("value", ["", "0", "off", "no", "false"])
def test_what_is_off_by_default_may_be_switched_off(value: str) -> None:
    assert load({}, {"PERSIST": value, "HTTP": value, "CORS_ORIGIN": value}) == Settings()


@pytest.mark.parametrize("value", ["1", "on", "yes", "true"])
def test_a_log_without_a_folder_of_its_own_is_in_the_working_folder(value: str) -> None:
    assert load({}, {"PERSIST": value}).persist == "."
    assert load({}, {"PERSIST": "./1"}).persist == "./1"


# HTTP


@pytest.mark.parametrize("text", ["*", "https://app.example.org", "http://localhost:3000,HTTPS://B.example"])
def test_cors_origins_are_schemes_and_hosts(text: str) -> None:
    assert load({}, {"CORS_ORIGIN": text}).cors_origin == tuple(text.lower().split(","))


@pytest.mark.parametrize(
    "text", ["example.org", "https://", "https://a/", "https://a?b", "https://a,", "https://u@a", "1"]
)
def test_cors_origin_that_no_browser_sends_is_refused(text: str) -> None:
    (line,) = refused(environ={"CORS_ORIGIN": text})
    assert line.startswith("CORS_ORIGIN (environment variable): expected one or more origins")


@pytest.mark.parametrize(("threads", "fits"), [("4", False), ("5", True), ("1024", True), ("1025", False)])
def test_http_has_more_threads_than_nothing_may_take_for_long(threads: str, fits: bool) -> None:
    if fits:
        assert load({}, {"HTTP_THREADS": threads}).http_threads == int(threads)
    else:
        refused(environ={"HTTP_THREADS": threads})


# What is said


def test_every_bad_value_has_its_own_line() -> None:
    lines = refused({"port": "x"}, {"MAX_LINE": "y", "LEASE": "0", "HTTP": "2"})
    assert [line.split(" ")[0] for line in lines] == ["PORT", "MAX_LINE", "LEASE", "HTTP"]


def test_value_with_control_characters_stays_one_line() -> None:
    (line,) = refused(environ={"LOG_LEVEL": "a\nb\x1b[31m"})
    assert line.endswith(r"got 'a\nb\x1b[31m'")


def test_unknown_key_of_the_file_is_refused_with_the_nearest_name(tmp_path: Path) -> None:
    path = toml(tmp_path, "prot = 1\nMAX_LINE = 1\nzzz = 1\n[server]\n")
    assert refused({"config": path}) == (
        f"unknown key 'prot' in {path} (did you mean port?)",
        f"unknown key 'MAX_LINE' in {path} (did you mean max_line?)",
        f"unknown key 'zzz' in {path}",
        f"unknown key 'server' in {path}",
    )


def test_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    missing = str(tmp_path / "missing.toml")
    assert refused({"config": missing}) == (f"cannot read the settings file {missing}: no such file or directory",)
    assert refused({"config": str(tmp_path)}) == (f"cannot read the settings file {tmp_path}: is a directory",)


@pytest.mark.parametrize("content", [b"port = ", b"port = 1\nport = 2\n", b"port\n", b"# \xff\n"])
def test_file_that_is_not_toml_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "bad.toml"
    path.write_bytes(content)
    (line,) = refused({"config": str(path)})
    assert line.startswith(f"the settings file {path} is not valid TOML: ")


# The table


def test_table_has_a_row_for_every_field_and_no_name_twice() -> None:
    assert [s.field for s in SETTINGS] == [f.name for f in dataclasses.fields(Settings)]
    for names in ([s.flag for s in SETTINGS], [s.env for s in SETTINGS], [s.key for s in SETTINGS]):
        assert len(set(names)) == len(names)


def test_shown_defaults_are_accepted_as_values() -> None:
    for setting in SETTINGS:
        if setting.env not in ("AUTH_TOKENS", "HTTP_NAMES", "REACTORS"):
            assert load({}, {setting.env: setting.default}) == Settings(), setting.env


def test_markdown_table_has_a_row_for_every_setting() -> None:
    rows = markdown_table().splitlines()[2:]
    assert len(rows) == 1 + len(SETTINGS) + len(CLIENT_SETTINGS)
    for row, setting in zip(rows, (CONFIG, *SETTINGS, *CLIENT_SETTINGS), strict=True):
        assert f"`{setting.env}`" in row
        assert row.replace("\\|", "").count("|") == 7


def test_table_is_put_between_its_markers_and_nothing_else_changes() -> None:
    text = "before\n<!-- settings:begin -->\nold\n<!-- settings:end -->\nafter\n"
    renewed = with_table(text)
    assert renewed == f"before\n<!-- settings:begin -->\n{markdown_table()}<!-- settings:end -->\nafter\n"
    assert with_table(renewed) == renewed
    with pytest.raises(ValueError, match="settings:begin"):
        with_table("no markers")


def test_module_prints_the_table_and_renews_it_in_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings_module._main([])
    assert capsys.readouterr().out == markdown_table()
    page = tmp_path / "page.md"
    page.write_text("<!-- settings:begin -->\n<!-- settings:end -->\n")
    settings_module._main([str(page)])
    assert page.read_text() == f"<!-- settings:begin -->\n{markdown_table()}<!-- settings:end -->\n"


def test_table_in_the_readme_is_current() -> None:
    text = README.read_text(encoding="utf-8")
    assert with_table(text) == text, "renew it with: python -m mqfast.settings README.md"
