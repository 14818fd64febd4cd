"""The web pages that Lakeloop adds to Airflow: an overview of the loops, and the files that tasks link to.

Read-only. Imported by the API server alone (plugins/lakeloop_plugin.py), so heavy imports are free to stand
at module level here.
"""
