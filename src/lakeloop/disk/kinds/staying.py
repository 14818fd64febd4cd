"""What always stays: it is looked up later, or a person made it. It is counted all the same."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from lakeloop.disk.base import Item, Kind, Place
from lakeloop.disk.extent import entries, extent_of

Paths = Callable[[Place], Iterable[Path]]


def _staying(name: str, owner: str, what: str, why: str, paths: Paths, *, shared: bool = False) -> Kind:
    def look(place: Place) -> Iterator[Item]:
        for path in paths(place):
            if not path.is_symlink() and path.exists():
                yield Item(path, extent_of(path), why)

    return Kind(name, owner, what, lambda _: "stay", look, shared)


def _of_loops(folder: str) -> Paths:
    return lambda place: [place.home / folder / loop.name for loop in place.loops]


def _tables(place: Place) -> Iterator[Path]:
    """Of lakes on a local disk; of the folders all but the weights."""
    if "://" in place.settings.lake:
        return
    for loop in place.loops:
        for path in entries(Path(place.settings.lake) / loop.name):
            weighed = path.name == "files"
            yield from (each for each in entries(path) if each.name not in _WEIGHTS) if weighed else [path]


_WEIGHTS = ("models", "candidates")

TABLES = _staying(
    "tables", "stages", "rows, records, data sets, evidence and cards in the lake",
    "lineage, impact and explanations need it", _tables,
)  # fmt: skip
SPOOLS = _staying(
    "spools", "model server", "answers on their way to the lake, and those that it refused",
    "the lake does not have them yet",
    lambda place: [
        place.home / "serving" / loop.name / name
        for loop in place.loops
        for name in ("spool", "observations")
    ],
)  # fmt: skip
JOURNALS = _staying(
    "journals", "stages", "what stages and trainings said, for W&B and the pages",
    "pages show it", _of_loops("journals"),
)  # fmt: skip
PAGES = _staying(
    "pages", "validate, evaluate", "Data Docs and reports", "records link to it",
    lambda place: [*_of_loops("docs")(place), *_of_loops("reports")(place)],
)  # fmt: skip
DROPS = _staying(
    "drops", "ingest", "drops that were fetched or made here", "a day may be read again",
    lambda place: [*_of_loops("fetched")(place), *_of_loops("drops")(place)],
)  # fmt: skip
BOARDS = _staying(
    "boards", "mirror", "files of TensorBoard", "a person looks at them", _of_loops("tensorboard")
)
STUDIES = _staying(
    "studies", "search", "trials of searches", "a search goes on from them",
    lambda place: [place.home / "studies"], shared=True,
)  # fmt: skip
AIRFLOW = _staying(
    "airflow", "Airflow", "its database and configuration (`airflow db clean` makes it smaller)",
    "Airflow's own", lambda place: [p for p in entries(place.home / "airflow") if p.name != "logs"],
    shared=True,
)  # fmt: skip
