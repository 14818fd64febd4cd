"""Quality: the verdict on every row, the checks that stop a day, and the report about both."""

import logging

# Importing Great Expectations logs two hundred functions at INFO, into the log of the task. All modules that
# import it are in this package, so this line runs first.
logging.getLogger("great_expectations").setLevel(logging.WARNING)
