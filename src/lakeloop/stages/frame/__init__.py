"""What all stages share: how one runs, what is due, how a loop stands."""
