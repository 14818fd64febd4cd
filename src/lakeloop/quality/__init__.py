"""Quality: the verdict on every row, the checks that stop a day, and the report about both."""
