"""Where things are: found from the working folder, set by variables, derived from each other."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from lakeloop.errors import ConfigurationError
from lakeloop.serving.guard.limits import Limits
from lakeloop.settings import find_root, get_settings, protect_home, read_settings


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for name in ("loops", "dbt", "deep/er"):
        (tmp_path / "project" / name).mkdir(parents=True)
    return tmp_path / "project"


def test_the_root_is_found_from_below(project: Path) -> None:
    assert find_root(project / "deep/er") == project


def test_outside_of_a_project_the_error_says_what_a_project_is(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as caught:
        find_root(tmp_path)
    assert str(caught.value) == (
        f"{tmp_path}: not inside a Lakeloop project\n"
        "  expected: a folder with loops/ and dbt/, here or above\n"
        "  to do: change into the project, or set LAKELOOP_ROOT"
    )


def test_everything_made_at_run_time_is_below_home(project: Path) -> None:
    settings = get_settings(root=project)
    assert settings.home == project / ".lakeloop"
    places = [
        Path(settings.lake),
        settings.work("news", "ingest", "2026-11-20"),
        settings.docs("news"),
        settings.reports("news"),
        settings.journals,
        settings.wandb_dir,
    ]
    assert all(place.is_relative_to(settings.home) for place in places)
    assert len(set(places)) == len(places)


def test_variables_set_fields(project: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LAKELOOP_ROOT", str(project))
    monkeypatch.setenv("LAKELOOP_HOME", "elsewhere")
    monkeypatch.setenv("LAKELOOP_DATA_ROOTS", f'["{tmp_path}"]')
    monkeypatch.setenv("LAKELOOP_STORAGE_OPTIONS", '{"region": "eu"}')
    settings = get_settings()
    assert settings.home == project / "elsewhere"
    assert settings.lake == str(project / "elsewhere/lake")
    assert settings.data_roots == (tmp_path,)
    assert settings.storage_options == {"region": "eu"}


@pytest.mark.parametrize(
    ("name", "value", "expected", "found"),
    [
        ("TRAINING_THREADS", "x", "a valid integer", "'x'"),
        ("TRAINING_THREADS", "-1", "greater than or equal to 0", "'-1'"),
        ("STORAGE_OPTIONS", '{"a"', "a JSON object, such as", "Expecting ':' delimiter"),
        ("STORAGE_OPTIONS", '{"a": 4711}', "a: a valid string", "of type int"),
        ("DATA_ROOTS", "/data:/more", "a JSON list, such as", "Expecting value"),
        ("DATA_ROOTS", "5", "a valid tuple", "of type int"),
    ],
)
def test_a_wrong_value_names_its_variable_and_what_was_expected(
    project: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str, expected: str, found: str
) -> None:
    monkeypatch.setenv(f"LAKELOOP_{name}", value)
    with pytest.raises(ConfigurationError) as caught:
        get_settings(root=project)
    assert caught.value.where == f"LAKELOOP_{name}"
    assert expected in caught.value.expected
    assert found in caught.value.found


def test_a_wrong_value_of_a_secret_is_not_told(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for value in (
        '{"account_key": "hunter22"',
        '["hunter22"]',
        '"hunter22"',
        '{"account_key": ["hunter22"]}',
    ):
        monkeypatch.setenv("LAKELOOP_STORAGE_OPTIONS", value)
        with pytest.raises(ConfigurationError) as caught:
            get_settings(root=project)
        assert "hunter22" not in str(caught.value)


def test_a_wrong_limit_of_the_model_server_names_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAKELOOP_SERVE_TEXTS", "abc")
    with pytest.raises(ConfigurationError) as caught:
        read_settings(Limits)
    assert str(caught.value).startswith(
        "LAKELOOP_SERVE_TEXTS: not a value for this setting\n  expected: a valid integer"
    )
    assert caught.value.found == "'abc'"


def test_an_argument_wins_over_a_variable(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAKELOOP_SERVER_URL", "http://127.0.0.1:1")
    settings = get_settings(root=project, server_url="http://127.0.0.1:2")
    assert settings.server_url == "http://127.0.0.1:2"


def test_a_relative_path_means_the_same_from_every_working_folder(
    project: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("LAKELOOP_DATA_ROOTS", '["drops"]')
    monkeypatch.chdir(tmp_path)
    settings = get_settings(root=project, lake="lake", loops="loops", home="home")
    assert settings.lake == str(project / "lake")
    assert (settings.loops, settings.home) == (project / "loops", project / "home")
    assert settings.data_roots == (project / "drops",)


def test_an_address_of_object_storage_is_kept_as_it_is(project: Path) -> None:
    assert get_settings(root=project, lake="s3://bucket/lake").lake == "s3://bucket/lake"


@pytest.mark.parametrize(
    ("key", "mode", "expected"),
    [
        ("", "", "offline"),
        ("secret", "", "online"),
        ("secret", "offline", "offline"),
        ("", "online", "online"),
        ("secret", "disabled", "disabled"),
    ],
)
def test_weights_and_biases_is_online_only_when_it_was_asked_for(
    project: Path, monkeypatch: pytest.MonkeyPatch, key: str, mode: str, expected: str
) -> None:
    monkeypatch.setenv("WANDB_API_KEY", key)
    monkeypatch.setenv("WANDB_MODE", mode)
    assert get_settings(root=project).wandb_mode == expected


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.usefixtures("usual_umask")
def test_a_home_and_all_that_is_made_from_then_on_are_private(project: Path) -> None:
    settings = get_settings(root=project)
    protect_home(settings)
    (settings.home / "work").mkdir()
    (settings.home / "airflow.db").touch()
    found = [mode(path) for path in (settings.home, settings.home / "work", settings.home / "airflow.db")]
    assert found == [0o700, 0o700, 0o600]


@pytest.mark.usefixtures("usual_umask")
def test_a_home_that_others_could_read_is_closed(project: Path) -> None:
    settings = get_settings(root=project)
    settings.home.mkdir(mode=0o755)
    protect_home(settings)
    assert mode(settings.home) == 0o700


@pytest.mark.usefixtures("usual_umask")
def test_a_folder_that_is_not_only_the_home_stays_open(project: Path, tmp_path: Path) -> None:
    drop_box = tmp_path / "tmp"
    drop_box.mkdir()
    drop_box.chmod(0o1777)
    for home in (drop_box, project.parent):
        before = mode(home)
        protect_home(get_settings(root=project, home=home))
        assert mode(home) == before
