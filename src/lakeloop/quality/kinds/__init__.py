"""Row checks by kind: one file a family, one line in `registry` a kind."""
