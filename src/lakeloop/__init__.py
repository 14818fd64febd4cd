"""Lakeloop: from a data lake to a deployed, watched, retrained model, on Apache Airflow.

This package is the library: plain functions and records. It never imports Airflow, the DAGs, the
plugin or the training jobs; they import it.
"""

__version__ = "0.1.0"
