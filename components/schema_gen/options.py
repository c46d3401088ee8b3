"""What counts as valid data: the `validation` group of the config."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Share = Annotated[float, Field(ge=0, le=1)]
Severity = Literal["block", "warn"]


class ValidationGroup(BaseModel):
    """Frozen, and refuses keys it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Thresholds(ValidationGroup):
    """Greatest distance between two distributions, from 0 (the same) to 1 (nothing in common)."""

    label: Share = Field(
        0.1, description="L-infinity distance of the classes' shares; a number as label is a `number`."
    )
    category: Share = Field(0.2, description="L-infinity distance of the values' shares.")
    number: Share = Field(0.2, description="Jensen-Shannon divergence.")
    features: dict[str, Share] = Field(default_factory=dict, description="Feature → threshold of its own.")

    def of(self, name: str, kind: Literal["label", "category", "number"]) -> float:
        """The threshold of one feature."""
        return self.features.get(name, {"label": self.label, "category": self.category, "number": self.number}[kind])


class Severities(ValidationGroup):
    """What a failed gate does: `block` stops the run, `warn` is only told."""

    schema_: Severity = Field("block", alias="schema", description="Rows that break the schema.")
    rows: Severity = Field("block", description="Empty splits and classes without rows.")
    drift: Severity = Field("block", description="Train split against the live version's.")
    skew: Severity = Field("block", description="Train split against eval and test.")

    model_config = ConfigDict(frozen=True, extra="forbid", validate_by_name=True, serialize_by_alias=True)


class ValidationOptions(ValidationGroup):
    """Limits on the data."""

    drift: Thresholds = Thresholds()
    skew: Thresholds = Thresholds()
    noise_allowance: float = Field(
        1.0, ge=0, description="Thresholds rise by this over the root of the number of values: small splits differ."
    )
    min_domain_mass: Share = Field(0.95, description="Share of a category's values that must be known from train.")
    min_rows: int = Field(1, ge=1, description="Least rows of every split.")
    min_rows_per_class: int = Field(1, ge=1, description="Least rows of every class in train.")
    severity: Severities = Severities()
