"""What a search tells of itself to W&B and TensorBoard: the curve of the best score, and two tables."""

from __future__ import annotations

from lakeloop.search.found import SearchFound
from lakeloop.tracking.tracker import Tracker


def tell(tracker: Tracker, found: SearchFound) -> None:
    """Tell `tracker` all of a search that has ended: its x axis is the number of the trial."""
    best: float | None = None
    better = max if found.higher_is_better else min
    for trial in found.trials:
        if trial.state != "complete" or trial.score is None:
            continue
        best = trial.score if best is None else better(best, trial.score)
        tracker.log({"search/score": trial.score, "search/best": best}, trial.number)
    keys = list(dict.fromkeys(key for trial in found.trials for key in trial.values))
    names = {model.trial: model.name for model in found.kept}
    tracker.table(
        "trials",
        ["trial", "state", found.metric, *keys, "epochs", "seconds", "cpu_seconds", "model", "reason"],
        [
            [
                trial.number,
                trial.state,
                trial.score,
                *(trial.values.get(key) for key in keys),
                len(trial.epochs),
                trial.cost.seconds,
                trial.cost.cpu_seconds,
                names.get(trial.number, ""),
                trial.reason,
            ]
            for trial in found.trials
        ],
    )
    if found.importance:
        tracker.table(
            "importance", ["key", "share"], [[key, share] for key, share in found.importance.items()]
        )
