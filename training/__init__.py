"""The training jobs: each runs as a process of its own, `python -m training.<job> --config FILE`.

A job reads a dataset folder and a base model, and leaves an artifact and a result beside its config file.
It knows nothing of the lake, the ledger or Airflow; nothing imports it. Who starts it is `lakeloop.jobs`.
"""
