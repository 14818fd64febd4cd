"""The loop on one machine: Airflow and the model server as processes, and the demo that drives them."""
