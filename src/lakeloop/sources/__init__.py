"""Where rows come from: sources (`registry`), formats of files (`formats`), the way in (`intake`)."""
