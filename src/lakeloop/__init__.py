"""Lakeloop: from a data lake to a deployed, watched, retrained model, on Apache Airflow.

This package is the library: plain functions and records. It never imports Airflow, the DAGs, the
plugin or the training jobs; they import it.
"""

import os

# ONNX Runtime sends events to its makers unless it is told not to before it is imported. We tell nobody.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

__version__ = "0.1.0"
