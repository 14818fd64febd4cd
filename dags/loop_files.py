"""Makes no DAG: raises what is wrong with the loop files, so that Airflow shows it as a DAG import error.

Each of the other files leaves a broken loop out and builds the DAGs of the rest.
"""

from lakeloop_airflow.loops import installation

from lakeloop.spec.reading.load import load_all

load_all(installation())
