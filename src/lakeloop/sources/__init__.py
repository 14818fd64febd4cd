"""Where rows come from: daily drops (`base`, `files`, `package`) and reading their lines (`lines`)."""
