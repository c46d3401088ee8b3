"""What can be wrong with a user's table.

ValueError
└── InputDataError          the table as a whole cannot be used

Rows that cannot be used are no error: they go to quarantine, and the DataGate says whether they are too many.
"""


class InputDataError(ValueError):
    """The input as a whole cannot be used: missing, empty, or without a column that the config names."""
