"""Quality: the verdict on every row, the checks that stop a day, and the report about both."""

import logging

# Importing it tells of two hundred functions, in the log of the task. Whoever imports it comes by here.
logging.getLogger("great_expectations").setLevel(logging.WARNING)
