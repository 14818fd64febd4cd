"""The verb `eject`: generated models become files of the user, once, and `check` looks at them."""

from __future__ import annotations

from pathlib import Path

from tests.support.command import Run


def test_models_are_taken_over_once(run: Run, project: Path) -> None:
    ended = run("eject", "tickets")
    assert ended.code == 0
    written = [line.split()[1] for line in ended.out.splitlines() if line.startswith("new  ")]
    assert sorted(written) == sorted(
        str(path.relative_to(project)) for path in (project / "dbt/models").rglob("*.*")
    )
    for name in written:
        assert "This file is yours" in (project / name).read_text().splitlines()[0]
    assert "lakeloop check tickets says which are missing" in ended.out

    mine = project / "dbt/models/tickets/marts/mart_tickets.sql"
    mine.write_text("select 1\n")
    again = run("eject", "tickets")
    assert again.code == 64
    assert 'dbt/models/tickets: loop "tickets" has dbt models of its own already' in again.err
    assert mine.read_text() == "select 1\n"


def test_check_names_columns_that_models_of_ones_own_lack(run: Run, project: Path) -> None:
    run("eject", "tickets")
    assert "    has dbt models of its own: dbt/models/tickets\n" in (right := run("check", "tickets").out)
    assert "lacks" not in right
    contract = project / "dbt/models/tickets/marts/mart_tickets.yml"
    contract.write_text(contract.read_text().replace("- name: label\n", "- name: team\n"))
    (warning,) = [line for line in run("check", "tickets").out.splitlines() if "lacks" in line]
    assert warning.startswith("    warning: mart_tickets in dbt/models/tickets lacks label of this loop file")
