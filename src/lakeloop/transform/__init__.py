"""Transform: dbt on DuckDB, in this process, on one partition at a time."""
