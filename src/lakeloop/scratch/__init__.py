"""What an attempt needs beside its outputs: a folder of its own, and DuckDB files with bounded memory."""
