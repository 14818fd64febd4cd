"""Whatever is in a loop file, loading it ends in a loop or in a `ConfigurationError`, never otherwise."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from lakeloop.errors import ConfigurationError
from lakeloop.settings import Settings, get_settings
from lakeloop.spec.loop import LoopSpec
from lakeloop.spec.reading.document import parse
from lakeloop.spec.reading.load import load_loop
from lakeloop.spec.shape import dotted_keys

Place = tuple[str | int, ...]

bounded = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=20),
    st.dates().map(str),
    st.sampled_from(
        ["package", "files", "text", "desk", "2026-11-16", "no", "0 2 * * *", "UTC", "news", "../.."]
    ),
)
names = sorted({part for key in dotted_keys() for part in key.split(".")})
words = st.one_of(st.sampled_from(names), st.text(max_size=9))
structures = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(words, inner, max_size=5),
    max_leaves=25,
)


@pytest.fixture
def project(tmp_path: Path) -> Settings:
    (tmp_path / "loops/news").mkdir(parents=True)
    (tmp_path / "dbt").mkdir()
    return get_settings(root=tmp_path)


@pytest.fixture(scope="session")
def news(root: Path) -> dict[str, Any]:
    return parse((root / "loops/news/loop.yaml").read_text(), "news").content


def load(content: bytes | str, project: Settings) -> LoopSpec | ConfigurationError:
    """Load `content` as the loop file of `news`; any other exception fails the test."""
    path = project.loop_file("news")
    path.write_bytes(content.encode("utf-8", "surrogatepass") if isinstance(content, str) else content)
    started = time.process_time()  # not the wall's: other processes may be at work
    try:
        return load_loop(path, project)
    except ConfigurationError as refusal:
        error = refusal
    assert time.process_time() - started < 2
    assert str(error).startswith("loops/news/loop.yaml: ")
    assert len(str(error)) < 30_000
    return error


@bounded
@given(content=st.binary(max_size=300))
@example(content=b"\xff\xfe")
@example(content=b"a: \x00")
def test_random_bytes(project: Settings, content: bytes) -> None:
    load(content, project)


@bounded
@given(content=st.text(alphabet="[]{}:,-?&*!|>'\"%@`#~<= \n\tab0.", max_size=200))
@example(content="? ? ? : : :")
@example(content="!!binary |\n  ####")
@example(content="'\\ud800'")
@example(content='a: "\\ud800"')
@example(content="a: 0x\nb: 0o9\nc: 1e\nd: 0b_\ne: -.inf\nf: =\n")
def test_text_that_looks_like_yaml(project: Settings, content: str) -> None:
    load(content, project)


@bounded
@given(content=structures)
def test_random_structures(project: Settings, content: Any) -> None:
    load(yaml.safe_dump(content, allow_unicode=True), project)


@bounded
@given(data=st.data())
def test_the_real_file_with_sections_of_garbage(project: Settings, news: dict[str, Any], data: Any) -> None:
    content = {**news, data.draw(st.sampled_from(sorted(LoopSpec.model_fields))): data.draw(structures)}
    load(yaml.safe_dump(content), project)


@bounded
@given(data=st.data())
def test_the_real_file_with_a_key_deleted_renamed_or_swapped(
    project: Settings, news: dict[str, Any], data: Any
) -> None:
    content = copy.deepcopy(news)
    for _ in range(data.draw(st.integers(1, 4))):
        places = sorted(places_in(content), key=str)
        holder, last = holder_of(content, data.draw(st.sampled_from(places)))
        match data.draw(st.sampled_from(["delete", "rename", "replace", "swap"])):
            case "delete":
                del holder[last]
            case "rename" if isinstance(holder, dict):
                holder[data.draw(words)] = holder.pop(last)
            case "replace":
                holder[last] = data.draw(structures)
            case _:
                other, name = holder_of(content, data.draw(st.sampled_from(places)))
                holder[last], other[name] = copy.deepcopy(other[name]), copy.deepcopy(holder[last])
        if not content:
            break
    loaded = load(yaml.safe_dump(content), project)
    assert isinstance(loaded, ConfigurationError) or loaded.source.key in loaded.source.columns


@bounded
@given(data=st.data())
def test_a_number_in_the_real_file_is_taken_or_refused_whatever_its_size(
    project: Settings, news: dict[str, Any], data: Any
) -> None:
    content = copy.deepcopy(news)
    numbers = [p for p in places_in(content) if isinstance(value_at(content, p), int | float)]
    holder, last = holder_of(content, data.draw(st.sampled_from(sorted(numbers, key=str))))
    holder[last] = data.draw(
        st.one_of(st.integers(), st.floats(), st.sampled_from([10**400, -1, 1e308, math.inf]))
    )
    load(yaml.safe_dump(content), project)


@bounded
@given(cut=st.integers(0, 2000), junk=st.text(max_size=5))
def test_the_real_file_cut_anywhere_and_continued_with_junk(
    project: Settings, root: Path, cut: int, junk: str
) -> None:
    text = (root / "loops/news/loop.yaml").read_text()
    load(text[:cut] + junk + text[cut + len(junk) :], project)


def places_in(content: Any, path: Place = ()) -> Iterator[Place]:
    items = (
        content.items()
        if isinstance(content, dict)
        else enumerate(content)
        if isinstance(content, list)
        else ()
    )
    for name, value in items:
        yield (*path, name)
        yield from places_in(value, (*path, name))


def holder_of(content: Any, path: Place) -> tuple[Any, Any]:
    return value_at(content, path[:-1]), path[-1]


def value_at(content: Any, path: Place) -> Any:
    for part in path:
        content = content[part]
    return content
