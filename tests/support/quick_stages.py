"""Transform and validate as quick as a unit test: without dbt and without the checks of the day.

Rows are built as the generated models build them, judged by the real row checks, and recorded as the stages
do. `quick(patch)` puts them in the place of the stages, wherever these are called through the catalogue.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from lakeloop.lake.tables import mart_schema
from lakeloop.quality import rows
from lakeloop.quality.forecast import _built
from lakeloop.records import Counts, StageRecord
from lakeloop.spec.identity import identity
from lakeloop.stages.data import transform as transforming
from lakeloop.stages.data import validate as validating
from lakeloop.stages.data.whole import keep_whole
from lakeloop.stages.frame.session import StageContext
from lakeloop.transform.models import models_of, project_digest


def transform(context: StageContext, partition: str) -> StageRecord:
    """The rows of raw as the generated models build them."""
    with context.stage("transform", partition, config=identity(context.loop, "built")) as stage:
        ingested = context.lake.ledger.latest("ingest", partition, "done")
        assert ingested is not None
        digest = project_digest(context.settings.dbt, models_of(context.settings.dbt, context.loop))
        stage.inputs(raw=ingested.outputs["raw"], dbt=f"sha256:{digest}")
        if done := stage.unchanged():
            return done
        fence = stage.claim()
        raw = context.lake.read("raw", partition=partition).to_pylist()
        own = ("source_file", "source_line", "partition")
        built = [{**_built(row, context.loop), **{name: row[name] for name in own}} for row in raw]
        table = pa.Table.from_pylist(built, mart_schema(context.loop))
        staging = context.lake.replace("staging", table, where={"partition": partition}, fence=fence)
        return stage.done(
            reason=f"{len(built)} built",
            outputs={"staging": staging.digest, "staging_version": str(staging.version)},
            counts=Counts(read=len(built), accepted=len(built)),
        )


def validate(context: StageContext, partition: str) -> StageRecord:
    """The real verdicts on rows, published in the order of the stage."""
    with context.stage("validate", partition, config=identity(context.loop, "mart")) as stage:
        ingested, transformed = validating._made(context, partition)
        counted = validating._counts(ingested).model_dump_json()
        stage.inputs(staging=transformed.outputs["staging"], ingested=counted)
        if done := stage.unchanged():
            return done
        fence = stage.claim()
        with duckdb.connect() as connection:
            rows.give_verdicts(connection, context.lake.scan("staging", partition=partition), context.loop)
            keep_whole(context, ingested, connection)
            bad = rows.rejected(connection).read_all()
            good = rows.good_rows(connection).read_all()
            duplicates = rows.duplicates(connection)
            extra = _of_the_stage(connection, context)
        day = {"partition": partition}
        quarantine = context.lake.replace("quarantine", bad, where={**day, "stage": "validate"}, fence=fence)
        mart = context.lake.replace("mart", good, where=day, fence=fence)
        return stage.done(
            reason=f"{good.num_rows} published",
            outputs={"mart": mart.digest, "quarantine": quarantine.digest},
            counts=Counts(
                read=len(bad) + len(good) + duplicates,
                accepted=len(good),
                quarantined=len(bad),
                duplicates=duplicates,
            ),
            **extra,
        )


def _of_the_stage(connection: duckdb.DuckDBPyConnection, context: StageContext) -> dict[str, Any]:
    return {"unknown": rows.unknown_answers(connection, context.loop)}


def quick(patch: pytest.MonkeyPatch, dbt: Path) -> None:
    """Put both in the place of the stages; `dbt` becomes a project that generated models can lie in."""
    dbt.mkdir(parents=True, exist_ok=True)
    (dbt / "dbt_project.yml").touch()
    patch.setattr(transforming, "transform", transform)
    patch.setattr(validating, "validate", validate)
