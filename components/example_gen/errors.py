"""What can be wrong with a user's table.

ValueError
├── InputDataError          the table as a whole cannot be used
└── TooManyBadRowsError     more rows were quarantined than the config allows
"""


class InputDataError(ValueError):
    """The input as a whole cannot be used: missing, empty, or without a column that the config names."""


class TooManyBadRowsError(ValueError):
    """The share of quarantined rows is above `max_bad_ratio`."""
