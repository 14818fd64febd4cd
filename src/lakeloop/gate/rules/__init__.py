"""What a candidate must fulfil to become champion: one file a rule."""
