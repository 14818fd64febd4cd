"""How much stays on the disk, and for how long, as settings (`LAKELOOP_DISK_*`); of models `keep` says it."""

from __future__ import annotations

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class DiskLimits(BaseSettings):
    """Limits of one home; each can be set by the variable LAKELOOP_DISK_<FIELD>."""

    model_config = SettingsConfigDict(
        env_prefix="LAKELOOP_DISK_", frozen=True, extra="ignore", use_attribute_docstrings=True
    )

    stored_days: float = Field(default=1, ge=0)
    """The folder of a training whose model is in the lake stays so long after its end."""
    job_days: float = Field(default=7, ge=0)
    """The folder and the checkpoints of a training that ended otherwise, after the last sign of it."""
    work_days: float = Field(default=14, ge=0)
    """What dbt and the checks left of a day, for a person to look into."""
    cache_gb: float = Field(default=5, ge=0)
    """The cache (10^9 bytes), without what was used within the hour and base models of the last week; what
    was not used for longest goes first."""
    cache_days: float = Field(default=60, ge=0)
    """Of the cache, and of files that were split by day, what was not used for so long."""
    log_days: float = Field(default=60, ge=0)
    """Logs of processes, tasks and trainings that nothing was written to for so long."""
    wandb_days: float = Field(default=90, ge=0)
    """Runs that were written for W&B; of a day at most where W&B, or `wandb sync`, has them."""
