"""Searches in the lake, by the records of the trainings that they were."""

from __future__ import annotations

from lakeloop.lake.files import LakeFiles
from lakeloop.records import StageRecord
from lakeloop.search.found import SEARCH, SearchFound

OUTPUT = "search"
"""Among the outputs of a record: the folder in the lake that has all trials."""


def search_of(files: LakeFiles, record: StageRecord) -> SearchFound | None:
    """The search that a training was; None when it was one training.

    Raises:
        ArtifactError: the search is not in the lake, or not as it was stored.
    """
    folder = record.outputs.get(OUTPUT)
    if not folder:
        return None
    return SearchFound.model_validate_json(files.read(folder, SEARCH), context={"where": files.uri(folder)})
