"""What is looked for in a model's answers: one file a probe."""
