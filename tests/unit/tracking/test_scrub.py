"""Secrets stay out; the words of a loop file that only look like secrets stay in."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from lakeloop.tracking.scrub import HIDDEN, is_secret_name, known_secrets, scrub


@pytest.mark.parametrize(
    "name",
    [
        "password", "PASSWORD", "db_passwd", "pwd", "secret", "client_secret", "AWS_SECRET_ACCESS_KEY",
        "aws_access_key_id", "account_key", "api_key", "apiKey", "API-KEY", "WANDB_API_KEY", "token",
        "hub_token", "accessToken", "sas_token", "AZURE_STORAGE_SAS", "fernet_key", "jwt_secret",
        "credentials", "authorization", "connection_string", "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN",
    ],
)  # fmt: skip
def test_a_secret_name_is_known(name: str) -> None:
    assert is_secret_name(name)


@pytest.mark.parametrize(
    "name",
    ["key", "text_key", "row_key", "max_tokens", "tokens_per_second", "tokenizer", "keys", "path", "patience",
     "monkey", "compass", "author", "secondary_id"],
)  # fmt: skip
def test_a_loop_file_word_is_no_secret_name(name: str) -> None:
    assert not is_secret_name(name)


def test_values_are_hidden_by_key_at_any_depth() -> None:
    scrubbed = scrub({"store": [{"options": {"account_key": "hunter22", "region": "eu"}}]}, ())
    assert scrubbed == {"store": [{"options": {"account_key": HIDDEN, "region": "eu"}}]}


def test_a_value_of_a_secret_variable_is_hidden_wherever_it_occurs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_API_KEY", "s3cr3t-value")
    monkeypatch.setenv("SHORT_TOKEN", "news")
    assert scrub({"note": "sent s3cr3t-value to news"}, known_secrets()) == {"note": f"sent {HIDDEN} to news"}


def test_numbers_are_kept_whatever_their_name() -> None:
    value = {
        "finetune/f1/password reset": 0.93,
        "finetune/f1/credential": np.float32(0.5),
        "support/secret": 12,
        "is_secret": True,
        "password_lengths": [8, 9],
    }
    assert scrub(value, ()) == value
    assert scrub({"passwords": [1, "hunter22"], "secrets": {"a": "b"}}, ()) == {
        "passwords": HIDDEN,
        "secrets": HIDDEN,
    }


def test_a_secret_storage_option_is_hidden_wherever_it_occurs(monkeypatch: pytest.MonkeyPatch) -> None:
    options = {"AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI-K7MDENG", "AWS_REGION": "eu-central-1"}
    monkeypatch.setenv("LAKELOOP_STORAGE_OPTIONS", json.dumps(options))
    assert scrub("eu-central-1 refuses wJalrXUtnFEMI-K7MDENG", known_secrets()) == (
        f"eu-central-1 refuses {HIDDEN}"
    )


@pytest.mark.parametrize("options", ['{"a', "[]", "5"])
def test_storage_options_that_are_none_hide_nothing(monkeypatch: pytest.MonkeyPatch, options: str) -> None:
    monkeypatch.setenv("LAKELOOP_STORAGE_OPTIONS", options)
    assert options not in known_secrets()


def test_the_working_folder_is_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PWD", "/srv/project")
    monkeypatch.setenv("OLDPWD", "/srv/project")
    assert scrub("/srv/project/model.onnx", known_secrets()) == "/srv/project/model.onnx"


def test_the_login_of_a_url_is_hidden() -> None:
    assert scrub("postgresql+psycopg2://me:pw@db:5432/x", ()) == f"postgresql+psycopg2://{HIDDEN}@db:5432/x"
    assert scrub("see https://example.org/a@b", ()) == "see https://example.org/a@b"


def test_what_comes_out_is_plain_json_with_its_meaning_kept() -> None:
    value = {
        "f32": np.float32(0.5), "i64": np.int64(3), "nan": math.nan, "inf": -math.inf, "none": None,
        "yes": True, "tuple": (1, "a"), 7: object,
    }  # fmt: skip
    scrubbed = scrub(value, ())
    assert json.loads(json.dumps(scrubbed, allow_nan=False)) == scrubbed
    assert scrubbed["f32"] == 0.5
    assert scrubbed["i64"] == 3
    assert (scrubbed["nan"], scrubbed["inf"]) == ("NaN", "-Infinity")
    assert scrubbed["none"] is None
    assert scrubbed["yes"] is True
    assert scrubbed["tuple"] == [1, "a"]
    assert "class 'object'" in scrubbed["7"]
