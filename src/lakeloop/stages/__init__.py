"""The steps of a loop as plain functions, one module each; commands and DAG tasks call the same ones."""
