import json

from airflow.sdk import DAG

from tests.dags.definitions import SNAPSHOT, WRITE, describe


def test_the_dags_are_those_of_the_snapshot(dags: dict[str, DAG]) -> None:
    expected = json.loads(SNAPSHOT.read_text())
    assert describe(dags) == expected, f"if this is meant, write the snapshot anew and read its diff: {WRITE}"
