"""What makes scores on test rows better than they will be: one file a kind of leak."""
