"""What a served model is watched by."""
