"""Secrets stay out; the words of a loop file that only look like secrets stay in."""

from __future__ import annotations

import json
import logging
import math
import time

import numpy as np
import pytest

from lakeloop.redaction import (
    HIDDEN,
    RedactingFilter,
    is_secret_name,
    known_secrets,
    redacted,
    scrub,
)


@pytest.mark.parametrize(
    "name",
    [
        "password", "PASSWORD", "db_passwd", "pwd", "secret", "client_secret", "AWS_SECRET_ACCESS_KEY",
        "aws_access_key_id", "account_key", "api_key", "apiKey", "API-KEY", "WANDB_API_KEY", "token",
        "hub_token", "accessToken", "sas_token", "AZURE_STORAGE_SAS", "fernet_key", "jwt_secret",
        "credentials", "authorization", "connection_string", "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN",
        "LICENSE_KEY", "STRIPE_KEY", "REFRESH_TOKENS", "AIRFLOW_CONN_LAKE_PWD", "db_pass", "SENTRY_DSN",
        "http_cookie", "jwt", "basicAuth", "private_key_id", "session_key",
    ],
)  # fmt: skip
def test_a_secret_name_is_known(name: str) -> None:
    assert is_secret_name(name)


@pytest.mark.parametrize(
    "name",
    ["key", "text_key", "row_key", "max_tokens", "tokens_per_second", "tokenizer", "keys", "path", "patience",
     "monkey", "compass", "author", "secondary_id", "bypass", "PRIMARY_KEY", "SORT_KEY", "MAX_TOKENS",
     "hotkey", "authors", "passages", "connection", "tokenised", "dsnames"],
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


PEM = "-----BEGIN RSA PRIVATE KEY-----\nMIIEowIBAAKCAQEAhunter2\nq83vhunter2==\n-----END RSA PRIVATE KEY-----"
AZURE = "hunter2+" + "Ab1/" * 19 + "Zz=="  # 86 characters of base64, then ==
SECRET = "hunter2"
"""In every text below that is to be hidden; what stays of it says too little."""


@pytest.mark.parametrize(
    "text",
    [
        # Logins of addresses, whatever is in the password.
        "postgresql://me:hunter2@db:5432/x",
        "postgresql://me:p@hunter2@db/x",
        "postgresql://me:hunter2/w@rd@db:5432/x",
        "postgresql://me:a/hunter2@db:5432/x",
        "mysql+pymysql://me:hun?ter#hunter2@db/x",
        "postgresql://me:5432/hunter2@db/x",
        "https://x:123/hunter2@example.org/",
        "could not connect to amqp://guest:hunter2@[::1]:5672//, giving up",
        "git clone https://hunter2hunter2@github.com/me/private.git",
        "redis://:hunter2@cache:6379/0",
        "both https://a:hunter2@one.org and https://b:hunter2@two.org failed",
        # Headers.
        "Authorization: Bearer hunter2",
        "authorization: Basic bWU6hunter2==",
        '{"headers": {"Authorization": "Token hunter2"}}',
        "sent 'Authorization': 'Bearer hunter2' to the server",
        "curl -H 'Authorization: Bearer abc.hunter2' https://api.example.org",
        "Bearer eyhunter2.payload",
        "Cookie: session=hunter2; theme=dark",
        "Proxy-Authorization: Digest username=me, response=hunter2",
        "X-Api-Key: hunter2",
        "private-token: hunter2abc1",
        # Addresses with a token among their parameters.
        "https://api.example.org/v1?page=2&api_key=hunter2",
        "https://a.blob.core.windows.net/c/b?sv=2024-01-01&se=2026&sig=hunter2%3D",
        "https://b.s3.amazonaws.com/k?X-Amz-Credential=hunter2%2Fs3&X-Amz-Signature=hunter2",
        "https://storage.googleapis.com/b/o?X-Goog-Signature=hunter2",
        "https://api.example.org/?access_token=hunter2#top",
        "https://maps.example.org/?key=hunter2hunter2hunter2",
        "jdbc:postgresql://db/x?user=me&password=hunter2",
        # Commands.
        "mytool --password hunter2 --epochs 3",
        "mytool --db-password='hun ter hunter2' run",
        'mytool --api-key "hunter2 x"',
        "mytool --client.secret=hunter2",
        "curl -u me:hunter2 https://example.org",
        "curl --user 'me:hunter2' https://example.org",
        "mysql -u root -phunter2 shop",
        "sshpass -p hunter2 ssh host",
        "docker login -u me -p hunter2 registry.example.org",
        "redis-cli -h cache -a hunter2 ping",
        "openssl rsa -passin pass:hunter2 -in key.pem",
        "PGPASSWORD=hunter2 psql -h db",
        # Assignments, in every notation.
        "AWS_SECRET_ACCESS_KEY=hunter2",
        "export HF_TOKEN='hunter2'",
        "GITHUB_TOKEN: hunter2abc",
        "password = hunter2",
        "db_password: correct horse hunter2",
        "  passphrase: correct horse hunter2\nepochs: 3",
        "{'password': 'hun ter hunter2'}",
        "error in {\"user\": \"me\", \"client_secret\": \"hunter2\"",
        'log: {\\"password\\": \\"hunter2\\"}',
        'log: {\\\\"password\\\\": \\\\"hunter2\\\\"}',
        "Server=db;Database=x;User Id=me;Password=hunter2;",
        "DefaultEndpointsProtocol=https;AccountName=a;AccountKey=hunter2==;EndpointSuffix=core",
        "password=>hunter2",
        "ValidationError: input_value={'api_key': 'hunter2', 'epochs': 3}",
        # JSON in a string, also in a string in JSON.
        json.dumps({"store": {"account_key": "hunter2"}, "epochs": 3}),
        json.dumps([{"text": "x", "token": "hunter2"}]),
        json.dumps({"inner": json.dumps({"password": "hunter2"})}),
        json.dumps({"type": "service_account", "private_key_id": "hunter2", "private_key": PEM}),
        # Keys in PEM, whole, cut off, and with line ends written out.
        PEM,
        f"the key is {PEM} as of today",
        PEM[:70],
        json.dumps(PEM)[1:-1],
        "-----BEGIN OPENSSH PRIVATE KEY-----\nhunter2",
        "-----BEGIN PGP PRIVATE KEY BLOCK-----\nhunter2\n-----END PGP PRIVATE KEY BLOCK-----",
        f"storage key {AZURE}",
    ],
)  # fmt: skip
def test_a_secret_is_hidden_whatever_its_shape(text: str) -> None:
    hidden = redacted(text)
    assert SECRET not in hidden
    assert HIDDEN in hidden
    assert redacted(hidden) == hidden, "once is enough"
    assert SECRET not in json.dumps(scrub({"note": text, "table": [[1, text]]}, ()))


@pytest.mark.parametrize(
    "key",
    [
        "AKIAIOSFODNN7EXAMPLE", "ASIAIOSFODNN7EXAMPLE", "AIza" + "Sy0" * 11 + "ab",
        "ya29.a0AfH6SMBx-1234567890abcd",
        "ghp_" + "a1B2" * 9, "github_pat_" + "11AAAA0_" * 6, "glpat-" + "x1Y2" * 5, "hf_" + "aB3d" * 9,
        "xoxb-1234567890-abcdef", "sk-proj-1234567890abcdefghij",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl",
    ],
)  # fmt: skip
def test_a_key_that_is_known_by_how_it_begins_is_hidden_in_any_sentence(key: str) -> None:
    assert redacted(f"the server said: {key} is not valid") == f"the server said: {HIDDEN} is not valid"


def test_the_value_after_an_option_is_hidden_in_a_list_of_arguments() -> None:
    argv = ["mytool", "--password", "hunter2", "--epochs", "3", "--api-key", "--verbose", "--token=hunter2"]
    assert scrub(argv, ()) == [
        "mytool", "--password", HIDDEN, "--epochs", "3", "--api-key", "--verbose", f"--token={HIDDEN}"
    ]  # fmt: skip


@pytest.mark.parametrize(
    "text",
    [
        "monkey business", "key", "the key: id", "source.key: id", "key=id", "text_key", "keyboard=qwerty",
        "a token is a part of a word", "The token: a unit of text", "token classification", "max_tokens=128",
        "tokens per second: 3000", "bearer of good news", "Basic research", "the secret: practice",
        "password reset", "I forgot my password, what now?", "pass the salt", "passed: 12", "3 of 5 passes",
        "https://example.org", "https://example.org/a@b", "https://example.org:8080/users/a@b.org",
        "http://localhost:8100/@vite/client", "https://medium.com/@someone/a-story", "s3://bucket/drops/day.csv",
        "file:///srv/project/model.onnx", "https://example.org/?page=2&q=token", "https://example.org/?key=id",
        "me@example.org", "ratio 3:4@2x", "train.epochs 4 -> 3", "epoch 3 of 4: loss 0.31",
        "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "da39a3ee5e6b4b0d3255bfef95601890afd80709", "-p 2026-11-20",
        "lakeloop train news --set train.epochs=3",
        "-----BEGIN CERTIFICATE-----", "sk_learn_pipeline_of_many_texts", '{"epochs": 3, "key": "id"}',
        "airflow connections add x --conn-password ...", "password: null", "author: me", "compass: north",
        "2026-11-20T10:00:00+00:00", "classes: password reset, card lost",
    ],
)  # fmt: skip
def test_what_is_no_secret_stays_as_it_is(text: str) -> None:
    assert redacted(text) == text
    assert scrub([text], ()) == [text]


def test_a_known_secret_is_hidden_in_other_spellings_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAKE_PASSWORD", 'p@ss/w"rd x')
    text = 'p@ss/w"rd x, p%40ss%2Fw%22rd%20x, p%40ss/w%22rd%20x, p%40ss%2Fw%22rd+x, p@ss/w\\"rd x'
    assert redacted(text, known_secrets()) == ", ".join([HIDDEN] * 5)


def test_a_log_that_is_filtered_holds_no_secret(caplog: pytest.LogCaptureFixture) -> None:
    log = logging.getLogger("lakeloop.of.a.test")
    caplog.handler.addFilter(found := RedactingFilter())
    try:
        log.warning("cannot open %s: %d tries", "postgresql://me:hunter2@db/x", 3)
    finally:
        caplog.handler.removeFilter(found)
    assert caplog.messages == [f"cannot open postgresql://{HIDDEN}@db/x: 3 tries"]


@pytest.mark.parametrize(
    "part",
    ["curl ", "--a", "eyJaaaaaaaa-", "passw", "a://", "a:@/", "-----BEGIN ", "pass:", "mysql -", "sk-"],
)
def test_a_long_text_is_read_in_time_whatever_it_repeats(part: str) -> None:
    text = part * (50_000 // len(part))
    began = time.process_time()
    redacted(text)
    assert time.process_time() - began < 5
