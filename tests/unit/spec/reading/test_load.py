"""Loop files, good and wrong: the words that a person reads about each mistake."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from lakeloop.errors import ConfigurationError, exit_code
from lakeloop.settings import Settings
from lakeloop.spec.demo import PackageSource
from lakeloop.spec.methods import METHODS, kind_of
from lakeloop.spec.quoting import choices
from lakeloop.spec.reading.load import load_all, load_loop, load_named, loop_names
from tests.support.loops import SHORT, Change, Refuse, write_loop

KINDS = choices([kind_of(method) for method in METHODS])


def test_the_real_loop_file_loads_with_its_dates_and_numbers(root: Path, settings: Settings) -> None:
    loop = load_loop(root / "loops/news/loop.yaml", settings)
    assert isinstance(loop.source, PackageSource)
    assert loop.source.start == date(2026, 11, 16)
    assert loop.source.partitions[-1] == "2026-11-20"
    assert loop.source.dirt.empty_text == 0.005
    assert loop.task.labels == ("business", "entertainment", "politics", "sports", "tech")


def test_ten_lines_make_a_loop(settings: Settings) -> None:
    loop = load_loop(write_loop(settings, "tickets", SHORT.replace("010", "'010'")), settings)
    assert loop.train.method.kind == "top_layers"
    assert loop.task.labels == ("billing", "technical", "no", "010")  # text, not false and eight


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        pytest.param(
            ("missing_label: 0.01", "missing_labl: 0.01"),
            "  loops/news/loop.yaml:18: source.dirt.missing_labl: unknown key\n"
            "    expected: one of missing_label, empty_text, unknown_label, wrong_type, broken_line, "
            "exact_duplicate, near_duplicate\n"
            "    found: missing_labl\n"
            "    did you mean: missing_label",
            id="a mistyped optional key",
        ),
        pytest.param(
            ("key: story_id", "kei: story_id"),
            "loops/news/loop.yaml: 1 problem\n"
            "  loops/news/loop.yaml:13: source.kei: unknown key\n"
            "    expected: one of key, key_from, event_time, columns, undeclared, format, kind, package, "
            "dataset, start, days, limit, dirt\n"
            "    found: kei\n"
            "    did you mean: key",
            id="a mistyped required key is one mistake",
        ),
        pytest.param(
            ("gate:", "epochs: 3\ngate:"),
            "  loops/news/loop.yaml:42: epochs: unknown key\n"
            "    expected: one of name, description, owner, license, language, source, labels, clean, "
            "checks, task, split, leaks, train, evaluate, gate, approval, deploy, score, keep, schedule\n"
            "    found: epochs\n"
            "    did you mean: train.epochs",
            id="a key in the wrong section",
        ),
        pytest.param(
            ("  key: story_id\n", ""),
            "  loops/news/loop.yaml:7: source.key: missing key\n"
            "    expected: key: a column that names a row; or key_from: content, where none does\n"
            '    found: "story_id, published_at, text, desk"',
            id="a missing key",
        ),
        pytest.param(
            ("days: 5", "days: '5'"),
            "  loops/news/loop.yaml:12: source.days: wrong value\n"
            "    expected: a whole number\n"
            '    found: "5" (text)',
            id="text for a number",
        ),
        pytest.param(
            ("days: 5", "days: 5.0"),
            "source.days: wrong value\n    expected: a whole number\n    found: 5.0",
            id="a fraction for a whole number",
        ),
        pytest.param(
            ("days: 5", "days: true"),
            "source.days: wrong value\n    expected: a whole number\n    found: true",
            id="true for a number",
        ),
        pytest.param(
            ("days: 5", "days: 0"),
            "source.days: wrong value\n    expected: at least 1\n    found: 0",
            id="a number too small",
        ),
        pytest.param(
            ("min_score: 0.9", "min_score: 90"),
            'gate.min_score: wrong value\n    expected: at most 1\n    found: "90"',
            id="a percentage for a share",
        ),
        pytest.param(
            ("min_score: 0.9", "min_score: .nan"),
            'gate.min_score: wrong value\n    expected: a number\n    found: ".nan" (text)',
            id="not a number",
        ),
        pytest.param(
            ("start: 2026-11-16", "start: 2026-11-31"),
            "  loops/news/loop.yaml:11: source.start: wrong value\n"
            "    expected: a day, such as 2026-11-16\n"
            '    found: "2026-11-31" (text)',
            id="a day that does not exist",
        ),
        pytest.param(
            ("start: 2026-11-16", "start: 9999-12-30"),
            "source: wrong value\n    expected: 9999-12-30 and 5 days on to be before the year 10000\n",
            id="days after the last day there is",
        ),
        pytest.param(
            ("kind: package", "kind: packge"),
            "  loops/news/loop.yaml:8: source.kind: wrong value\n"
            "    expected: delta, files, http, hub, package or sql\n"
            '    found: "packge" (text)\n'
            "    did you mean: package",
            id="an unknown kind",
        ),
        pytest.param(
            ("  kind: package\n", ""),
            "  loops/news/loop.yaml:7: source.kind: missing key\n"
            "    expected: kind: delta, files, http, hub, package or sql\n",
            id="no kind",
        ),
        pytest.param(
            ("method: top_layers", "method: top_layer"),
            "  loops/news/loop.yaml:37: train.method.kind: wrong value\n"
            f"    expected: {KINDS}\n"
            '    found: "top_layer" (text)\n'
            "    did you mean: top_layers",
            id="a value that is not one of the choices",
        ),
        pytest.param(
            ("method: top_layers", "method: {kind: top_layers, rank: 4}"),
            "train.method.rank: a key of another kind than top_layers\n"
            "    expected: one of kind, layers\n"
            "    found: rank\n"
            "    to do: rank is a key of lora, dora, adalora or vera: choose that with train.method.kind, or"
            " leave the key out",
            id="a key of another kind",
        ),
        pytest.param(
            ("{story_id: string,", "{story_id: strin,"),
            "source.columns.story_id.type: wrong value\n"
            "    expected: string, integer, number, boolean, timestamp or date\n"
            '    found: "strin" (text)\n'
            "    did you mean: string",
            id="an unknown type of column",
        ),
        *(
            pytest.param(
                ("{story_id: string,", f"{{story_id: {theirs},"),
                f'found: "{theirs}" (text)\n    did you mean: {ours}',
                id=f"a type by its name elsewhere: {theirs}",
            )
            for theirs, ours in {
                "datetime": "timestamp",
                "str": "string",
                "int": "integer",
                "double": "number",
                "bool": "boolean",
                "VARCHAR(20)": "string",
                "float": "number",
                "text": "string",
            }.items()
        ),
        pytest.param(
            ("text: string, desk", "' ': string, text: string, desk"),
            "source.columns. : wrong value\n"
            "    expected: a name that is not blank, of at most 200 characters, no control characters\n"
            '    found: " " (text)',
            id="a column without a name",
        ),
        pytest.param(
            ("  min_score: 0.9", "  - min_score"),
            "gate: wrong value\n    expected: keys with values below it\n    found: a list of 1",
            id="a list for a section",
        ),
        pytest.param(
            ("[business, entertainment, politics, sports, tech]", "business"),
            'task.labels: wrong value\n    expected: a list\n    found: "business" (text)',
            id="one value for a list",
        ),
        pytest.param(
            ("[business, entertainment,", "[business, business,"),
            "task.labels: wrong value\n    expected: distinct labels; business is there more than once\n",
            id="a label twice",
        ),
        pytest.param(
            ("  method: top_layers", "  base_model: 'package:'"),
            "train.base_model: wrong value\n"
            "    expected: package:<name of an installed package>, or a folder\n"
            '    found: "package:" (text)',
            id="a package without a name",
        ),
        pytest.param(
            ("deploy:", "schedule: {cron: 61 2 * * *}\ndeploy:"),
            "schedule.cron: wrong value\n"
            "    expected: five cron fields that some day match, such as 0 2 * * *\n"
            '    found: "61 2 * * *" (text)',
            id="a minute that no hour has",
        ),
        pytest.param(
            ("deploy:", "schedule: {timezone: Europe}\ndeploy:"),
            "schedule.timezone: wrong value\n"
            "    expected: a time zone by its IANA name, such as UTC or Europe/Paris\n"
            '    found: "Europe" (text)',
            id="a folder of time zones",
        ),
        pytest.param(
            ("near_duplicate: 0.01", "near_duplicate: 0.99"),
            "source.dirt: wrong value\n"
            "    expected: shares that add up to at most 1; these add up to 1.035\n",
            id="more dirt than lines",
        ),
        pytest.param(
            ("name: news", "name: newz"),
            "  loops/news/loop.yaml:4: name: in the wrong folder\n"
            '    expected: the name of the folder, "news"\n'
            '    found: "newz" (text)',
            id="another name than the folder",
        ),
        pytest.param(
            ("key: story_id", "key: storyid"),
            "  loops/news/loop.yaml:13: source.key: no such column\n"
            "    expected: a string or integer column of source.columns: one of story_id, text, desk\n"
            '    found: "storyid"\n'
            "    did you mean: story_id",
            id="a key that is no column",
        ),
        pytest.param(
            ("event_time: published_at", "event_time: text"),
            "source.event_time: a column of the wrong type\n"
            "    expected: a timestamp or date column of source.columns: one of published_at\n"
            '    found: "text: string"',
            id="a time that is text",
        ),
        pytest.param(
            ("published_at: timestamp", "published_at: string"),
            "source.event_time: a column of the wrong type\n"
            "    expected: a timestamp or date column of source.columns: there is none among "
            "story_id: string, published_at: string, text: string, desk: string\n"
            '    found: "published_at: string"',
            id="a time where no column has one",
        ),
        pytest.param(
            ("checks:", "checks:\n  rows: [{kind: between, column: words, min: 3}]"),
            "checks.rows[0].column: no such column of the mart\n"
            "    expected: a number; there are row_id: string, event_time: timestamp, text: string, "
            "label: string\n"
            '    found: "words"',
            id="a check of numbers where the mart has none",
        ),
        pytest.param(
            ("label: desk", "label: dsk"),
            "  loops/news/loop.yaml:28: task.label: no such column\n"
            "    expected: a string or integer or number or boolean column of source.columns: "
            "one of story_id, text, desk\n"
            '    found: "dsk"\n'
            "    did you mean: desk",
            id="a label that is no column",
        ),
        pytest.param(
            ("label: desk", "label: text"),
            'task.label: is the text itself\n    expected: another column\n    found: "text"',
            id="the text as its own label",
        ),
        pytest.param(
            ("desk: string}", "desk: string, Desk: string}"),
            "source.columns.Desk: would be stored as desk, and so would another\n"
            "    expected: names that differ in letters or digits; `from` keeps that of the delivery\n"
            '    found: "desk, Desk"',
            id="two columns that are one in the lake",
        ),
        pytest.param(
            ("min_labels: 5", "min_labels: 6"),
            'task.min_labels: no day can pass\n    expected: at most 5 labels\n    found: "6"',
            id="more labels than there are",
        ),
        pytest.param(
            ("checks:", "checks:\n  rows: [{kind: length, column: text, min: 5, max: 3}]"),
            "  loops/news/loop.yaml:33: checks.rows[0].max: no length can pass\n"
            "    expected: at least min (5)\n",
            id="a check that nothing passes",
        ),
        pytest.param(
            ("checks:", "checks:\n  rows: [{kind: between, column: text}]"),
            "  loops/news/loop.yaml:33: checks.rows[0].min: no limit is given\n"
            "    expected: min, max or both\n"
            '    found: "neither"',
            id="a check without a limit",
        ),
        pytest.param(
            ("checks:", "checks:\n  rows: [{kind: not_null, column: desk}]"),
            "checks.rows[0].column: no such column of the mart\n"
            "    expected: one of row_id, event_time, text, label\n",
            id="a check on a column that the mart does not have",
        ),
    ],
)
def test_a_mistake_is_named_with_its_place_and_what_is_right(
    refuse: Refuse, change: Change, expected: str
) -> None:
    assert expected in refuse(change)


def test_all_mistakes_are_listed_at_once_in_the_order_of_the_file(refuse: Refuse) -> None:
    text = refuse(
        ("name: news", "name: new"),
        ("  key: story_id", "  ky: story_id"),
        ("missing_label", "missing_labl"),
        ("label: desk", "label: dsk"),
        ("min_rows: 1500", "min_rows: many"),
    )
    assert text.startswith("loops/news/loop.yaml: 5 problems\n")
    headlines = [line.split(": ")[1] for line in text.splitlines() if line.startswith("  loops/")]
    assert headlines == ["name", "source.ky", "source.dirt.missing_labl", "task.label", "train.min_rows"]


def test_two_mistakes_about_one_column_are_both_named(refuse: Refuse) -> None:
    text = refuse(("desk: string}", "desk: string, Desk: {type: strin, form: d}}"))
    assert "source.columns.Desk.form: unknown key" in text
    assert "did you mean: format" in text
    assert "source.columns.Desk.type: wrong value" in text


def test_an_endless_list_of_mistakes_is_cut_and_says_so(refuse: Refuse) -> None:
    text = refuse(append="\n".join(f"key_{n}: 1" for n in range(100)))
    assert text.startswith("loops/news/loop.yaml: 100 problems\n")
    assert text.endswith("  ... and 75 more")


def test_configuration_errors_are_not_worth_a_retry(settings: Settings) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load_loop(settings.loop_file("nothing"), settings)
    assert exit_code(caught.value) == 64


def test_a_missing_file_lists_the_loops_that_exist(settings: Settings) -> None:
    write_loop(settings, "tickets", SHORT)
    write_loop(settings, "reviews", SHORT)
    with pytest.raises(ConfigurationError) as caught:
        load_loop(settings.loop_file("ticket"), settings)
    assert str(caught.value) == (
        "loops/ticket/loop.yaml: no such loop\n"
        "  expected: one of reviews, tickets\n"
        '  found: "ticket"\n'
        "  to do: did you mean tickets?"
    )


def test_a_missing_file_in_an_empty_project_says_how_to_make_one(settings: Settings) -> None:
    with pytest.raises(ConfigurationError, match=r"to do: make one: lakeloop new news"):
        load_loop(settings.loop_file("news"), settings)


@pytest.mark.parametrize("name", ["../loops/tickets", "", ".", "tickets/", "ticket\0s", "t" * 5000])
def test_a_loop_is_found_by_its_name_and_not_by_a_path(settings: Settings, name: str) -> None:
    write_loop(settings, "tickets", SHORT)
    with pytest.raises(ConfigurationError, match="no such loop"):
        load_named(name, settings)


def test_load_all_reads_every_loop_and_ignores_what_is_no_loop(settings: Settings) -> None:
    good = SHORT.replace("010", "other")
    write_loop(settings, "tickets", good)
    write_loop(settings, "reviews", good.replace("name: tickets", "name: reviews"))
    (settings.loops / "loop.schema.json").write_text("{}")
    (settings.loops / "notes").mkdir()
    assert loop_names(settings) == ["reviews", "tickets"]
    assert [loop.name for loop in load_all(settings)] == ["reviews", "tickets"]


def test_load_all_lists_the_problems_of_all_files(settings: Settings) -> None:
    write_loop(settings, "tickets", SHORT)
    write_loop(settings, "reviews", SHORT)
    with pytest.raises(ConfigurationError) as caught:
        load_all(settings)
    text = str(caught.value)
    assert text.startswith("2 loop files are wrong\n")
    assert (
        "loops/tickets/loop.yaml:10: task.labels[3]: wrong value\n"
        '    expected: text in quotes, as the rows have it, such as "10"' in text
    )
    assert "loops/reviews/loop.yaml:1: name: in the wrong folder" in text
