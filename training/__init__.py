"""The training job, a process of its own: `python -m training.train --config FILE`.

It reads a data set's folder and a base model, and leaves an artifact and a result beside its config file.
It knows nothing of the lake, the ledger or Airflow; nothing imports it. Who starts it is `lakeloop.jobs`.
What is learnt is `training.tasks`, one file a task; how, `training.methods`, one file a method.
"""

from lakeloop.garbage import collect_rarely

# Here, because the modules of this package import torch.
collect_rarely()
