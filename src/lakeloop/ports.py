"""Where the two servers answer on one machine, unless told or taken: without what settings import."""

AIRFLOW_PORT = 8080
SERVER_PORT = 8100
