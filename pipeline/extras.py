"""Packages that a setting needs, and that only an extra brings."""

import importlib.util

from pipeline.config import ConfigError
from pipeline.config_groups import EvaluationConfig


def is_here(package: str) -> bool:
    """Whether it could be imported; it is not."""
    try:
        return importlib.util.find_spec(package) is not None
    except ModuleNotFoundError:  # of a package around it
        return False


def check(evaluation: EvaluationConfig) -> None:
    """Whether the ReleaseGate has the packages that it needs in this process.

    Raises:
        ConfigError: it has not.
    """
    if evaluation.attention.shap_rows and not is_here("shap"):
        raise ConfigError(
            "`evaluation.attention.shap_rows` needs a package that is not here: pip install 'attention-pipeline[shap]'."
        )
