"""The verb that copies journals into W&B now, also those that it did not take before."""

from __future__ import annotations

from typing import Annotated

import typer

app = typer.Typer()
_PANEL = "The loop"


@app.command(rich_help_panel=_PANEL)
def mirror(
    again: Annotated[
        bool, typer.Option("--again", help="Also what was set aside because W&B did not take it.")
    ] = False,
    timeout: Annotated[float, typer.Option(min=0, help="Seconds to wait for it.")] = 120.0,
) -> None:
    """Copy what waits into W&B now, of all loops, and say what W&B does not take."""
    from lakeloop.cli.running import working
    from lakeloop.errors import ConfigurationError
    from lakeloop.settings import get_settings
    from lakeloop.tracking.mirror import mirror_pending
    from lakeloop.tracking.progress import ended, set_aside, take_back

    settings = get_settings()
    if settings.wandb_mode == "disabled":
        raise ConfigurationError("W&B is switched off", where="WANDB_MODE", expected="online, or offline")
    if again and (back := take_back(settings.journals)):
        typer.echo(f"{back} journal(s) taken back")
    before = ended(settings.journals)
    with working("copying journals into W&B"):
        left = mirror_pending(settings, timeout=timeout)
    refused = dict(set_aside(settings.journals))
    copied = set(before) - set(ended(settings.journals)) - refused.keys()
    typer.echo(f"{len(copied)} of {len(before)} journal(s) that waited are copied, {left} wait")
    for journal, found in refused.items():
        typer.echo(f"W&B does not take {journal.relative_to(settings.journals)}: {found.reason}")
    if left:
        typer.echo(f"why: {settings.home / 'logs' / 'mirror.log'}")
        raise typer.Exit(75)
