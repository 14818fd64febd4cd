"""Detached jobs: work that outlives the process that asks for it, and is done once however often it is asked.

    job_id = submit(JobSpec(...))   # starts it, or attaches to the one that runs or has succeeded
    wait(job_id, on_line=print)     # streams its log; raises when it failed
    result(job_id)

A job is a process `python -m <job> --config WORKDIR/config.json` under a small runner that records its state
in WORKDIR/job.json; with `torchrun` for a launcher it is several, which know of each other. What a job does
is no business of this package. Imported while DAG files are parsed: nothing heavy.
"""

from lakeloop.jobs.client import cancel, result, status, submit, wait
from lakeloop.jobs.state import AT_WORK, JobSpec, JobState, JobStatus

__all__ = ["AT_WORK", "JobSpec", "JobState", "JobStatus", "cancel", "result", "status", "submit", "wait"]
