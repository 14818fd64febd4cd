"""The one list of stages: what each is called, where its function is, which DAG and pool run it, how often.

Operators, links, pools, verbs of the command line, the order in `status`, progress bars and the search for
work that is left all read it. Light: it is imported while a DAG file is parsed; a stage's module is imported
when the stage runs.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from lakeloop.records import EXPERIMENT

if TYPE_CHECKING:
    from lakeloop.spec.base import Effect
    from lakeloop.spec.loop import LoopSpec
    from lakeloop.stages.frame.pending import PendingRule

WRITERS = "lakeloop_writers"
"""Pool of the tasks that write tables, of all loops: a loop that is new tomorrow cannot bring a pool of its
own, and a task of a pool that is not there waits for ever."""
GPU = "gpu"
"""Pool, and queue, of the trainings."""

POOLS: Mapping[str, tuple[int, str]] = {
    GPU: (1, "Training jobs, one at a time a device"),
    WRITERS: (2, "Tasks that write tables of the lake"),
}
"""Pool -> slots on one machine, and what it is for."""

DATA_DOCS, REPORT, VERSION, CURVES = "data_docs", "report", "version", "curves"
DBT_DOCS = "dbt_docs"
"""What a task of a stage links to, besides its W&B run."""


@dataclass(frozen=True)
class Option:
    """A number that the verb of a stage takes besides the loop, and that its function has as a keyword."""

    name: str
    keyword: str
    default: float
    help: str


@dataclass(frozen=True)
class Stage:
    """One step of the loop."""

    name: str
    """Also of its module, function and verb; and of its records and task, unless it runs per candidate."""
    phase: Literal["data", "training", "release", "watch"]
    """The package below `lakeloop.stages` that has its module."""
    dag: str
    """The DAG `<loop>.<dag>` that runs it."""
    help: str
    """For `lakeloop <name> --help`, a sentence."""
    per: Literal["partition", "candidate"] = "partition"
    """A stage per candidate has records and tasks of its own for each: `train-<candidate>`."""
    pool: str = "default_pool"
    announces: Literal["", "raw", "mart", "candidate", "champion"] = ""
    """The asset of the loop whose event says that the stage left something new."""
    needs_server: bool = False
    """The stage asks the model server."""
    links: tuple[str, ...] = ()
    options: tuple[Option, ...] = ()
    asks: bool = False
    """A person may be asked before it, where the loop file says so."""
    waits: bool = False
    """It waits for what others bring: its module has `waiting`, a function of the context that says for what;
    empty when there is something to do. Looking is cheap, and is done again and again."""
    settable: bool = False
    """One run may set keys of the loop file."""
    own_verb: bool = False
    """Its verb can more than a stage's, and stands in `lakeloop.cli` by itself."""
    before: str = ""
    """`module:name` of a function of the same context and partition that brings up to date what the stage
    decides on. `function` calls it first, for a stage calls no stage."""
    after: str = ""
    """The stage whose newest day this one works on, where a person names none; empty: yesterday."""
    decides: Effect | None = None
    """What the stage makes: keys of the loop file with this mark are in its fingerprint. None for a stage
    that looks at more than its inputs, such as a server, before it knows whether there is work."""
    days_in: str = ""
    """The time zone of the days that the stage works on; empty: the loop's."""
    section: str = ""
    """The section of the loop file without which a loop has no such stage; empty: every loop has it."""
    version: int = 1
    """Raise it when equal inputs give other outputs than before: then the work is done again."""

    @property
    def module(self) -> str:
        """The module that has its function, and its rule for pending work."""
        return f"lakeloop.stages.{self.phase}.{self.name}"

    @property
    def pending(self) -> PendingRule | None:
        """The rule that says what of this stage is due; None when nothing ever waits for it."""
        rule: PendingRule | None = getattr(importlib.import_module(self.module), "pending", None)
        return rule

    @property
    def waiting(self) -> Callable[[Any], str]:
        """Of a stage that waits, what it waits for now."""
        waiting: Callable[[Any], str] = importlib.import_module(self.module).waiting
        return waiting

    @property
    def work(self) -> Callable[..., Any]:
        """The function that does the stage's own work; asking for it imports what it needs."""
        work: Callable[..., Any] = getattr(importlib.import_module(self.module), self.name)
        return work

    @property
    def function(self) -> Callable[..., Any]:
        """The function that does the work, after the one in `before`; asking for it imports what it needs."""
        function = self.work
        if not self.before:
            return function
        module, name = self.before.split(":")
        before = getattr(importlib.import_module(module), name)

        def both(context: Any, partition: str, **options: Any) -> Any:
            before(context, partition)
            return function(context, partition, **options)

        both.__name__ = self.name  # what people read of the work
        return both

    def zone(self, loop: LoopSpec) -> str:
        """The time zone of the days that the stage works on in `loop`."""
        return self.days_in or loop.schedule.timezone

    def is_of(self, loop: LoopSpec) -> bool:
        """Whether `loop` has the stage."""
        return not self.section or getattr(loop, self.section) is not None

    def record_name(self, candidate: str = "", experiment: str = "") -> str:
        """What records of the stage are called; `candidate` counts where it runs per candidate.

        Those of an `experiment` have a name of their own, so nothing that looks for a stage takes them for
        production's.
        """
        name = f"{self.name}-{candidate}" if self.per == "candidate" else self.name
        return f"{name}{EXPERIMENT}{experiment}" if experiment else name


STAGES = (
    Stage(
        "ingest", "data", "ingest", decides="raw", pool=WRITERS, announces="raw",
        help="Read a day's drop into the table raw; every bad line goes to quarantine, whole.",
    ),
    Stage(
        "labels", "data", "ingest", decides="labels", pool=WRITERS, announces="raw", section="labels",
        help="Read a day's answers that come apart from their rows; the days of these are built anew.",
    ),
    Stage(
        "transform", "data", "transform", decides="built", pool=WRITERS, links=(DBT_DOCS,),
        help="Build the day's mart rows from raw with dbt; nobody reads them yet.",
    ),
    Stage(
        "validate", "data", "transform", decides="mart", pool=WRITERS, announces="mart", links=(DATA_DOCS,),
        help="Check the built rows, quarantine the bad ones, publish the rest to the mart.",
    ),
    Stage(
        "dataset", "training", "train", decides="dataset", after="validate",
        help="Freeze all published days up to this one as training, validation and test rows.",
    ),
    Stage(
        "train", "training", "train", decides="weights", per="candidate", pool=GPU, settable=True,
        after="dataset", links=(CURVES, REPORT),
        help="Train the candidates on the frozen rows, each as a process of its own.",
    ),
    Stage(
        "evaluate", "training", "train", decides="scores", announces="candidate", links=(REPORT,),
        settable=True, after="dataset",
        help="Score the candidates and the champion on the same held-out rows.",
    ),
    Stage(
        "release", "release", "deploy", decides="release", links=(REPORT, VERSION), settable=True,
        after="evaluate", asks=True,
        before="lakeloop.stages.release.approval:prepare",
        help="Let the gate decide; register the better candidate and make it the champion, or refuse it.",
    ),
    Stage(
        "trial", "release", "deploy", links=(VERSION, REPORT), after="release", waits=True,
        options=(Option("wait", "wait_seconds", 0.0, "Seconds to wait until there is something to do."),),
        help="Look at a version beside the champion: let it go on, make it champion, or take it back.",
    ),
    Stage(
        "rollout", "release", "deploy", announces="champion", needs_server=True, links=(VERSION, REPORT),
        options=(Option("timeout", "timeout_seconds", 120.0, "Seconds to wait for the server."),),
        help="Wait until the model server answers with the champion, and send it the smoke texts.",
    ),
    Stage(
        "score", "release", "score", pool=WRITERS, links=(VERSION,), settable=True, own_verb=True, version=2,
        help="Answer a day's rows, or a file, with the champion, into a table with the version in each row.",
    ),
    Stage(
        "monitor", "watch", "monitor", days_in="UTC",  # the server logs by the day in UTC
        help="Compare the day's answers with the rows that the champion was trained on.",
    ),
    Stage(
        "maintain", "watch", "maintenance", pool=WRITERS,
        help="Compact the tables, remove models by keep, and name the work and the journals that wait.",
    ),
)  # fmt: skip

DATA = tuple(stage.name for stage in STAGES if stage.phase == "data" and not stage.section)
"""The stages that bring the rows of a day into the mart, in order."""

DAGS: tuple[str, ...] = tuple(dict.fromkeys(stage.dag for stage in STAGES))
"""The DAGs of a loop, in the order of the loop. Each listens to those before it."""


def stages_of(dag: str, loop: LoopSpec | None = None) -> tuple[Stage, ...]:
    """The stages that the DAG `<loop>.<dag>` runs, in order; of `loop`, those that it has."""
    return tuple(stage for stage in STAGES if stage.dag == dag and (loop is None or stage.is_of(loop)))


_BY_NAME = {stage.name: stage for stage in STAGES}


def stage_named(name: str) -> Stage:
    """The stage of this name, or whose records have it: `train` for `train-finetune`, also in an experiment.

    Raises:
        KeyError: there is no such stage.
    """
    base, _, candidate = name.partition(EXPERIMENT)[0].partition("-")
    stage = _BY_NAME[base]
    if candidate and stage.per != "candidate":
        raise KeyError(name)
    return stage


def candidate_of(name: str) -> str:
    """The candidate that a record of this name is of; empty for a stage that runs once."""
    return name.partition(EXPERIMENT)[0].partition("-")[2]


def in_order(name: str) -> int:
    """Sort key for names of records, by the order of the stages in the loop; names of no stage come last."""
    try:
        return STAGES.index(stage_named(name))
    except KeyError:
        return len(STAGES)
