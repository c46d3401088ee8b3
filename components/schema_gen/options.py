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


class DriftThresholds(Thresholds):
    """Those of drift, which looks at texts, too."""

    text_length: Share = Field(0.1, description="Jensen-Shannon divergence of the numbers of words in a text.")
    unseen_words: Share = Field(0.1, description="Share of unknown words, beyond what is to be expected.")
    words: Share = Field(0.02, description="Jensen-Shannon divergence of the words' shares.")
    language: Share = Field(0.05, description="L-infinity distance of the languages' shares.")
    embedding: Share = Field(0.05, description="Maximum mean discrepancy of where the texts lie.")


class Severities(ValidationGroup):
    """What a failed gate does: `block` stops the run, `warn` is only told."""

    schema_: Severity = Field("block", alias="schema", description="Rows that break the schema.")
    rows: Severity = Field("block", description="Empty splits and classes without rows.")
    drift: Severity = Field("block", description="Train split against the live version's.")
    skew: Severity = Field("block", description="Train split against eval and test.")
    duplicates: Severity = Field("block", description="Rows of eval and test that stand in train.")
    near_duplicates: Severity = Field("warn", description="Texts of eval and test that nearly stand in train.")
    label_conflicts: Severity = Field("block", description="Equal rows with different labels.")
    leaks: Severity = Field("block", description="A feature that gives the label away.")

    model_config = ConfigDict(frozen=True, extra="forbid", validate_by_name=True, serialize_by_alias=True)


class ValidationOptions(ValidationGroup):
    """Limits on the data."""

    drift: DriftThresholds = DriftThresholds()
    skew: Thresholds = Thresholds()
    noise_allowance: float = Field(
        1.0, ge=0, description="Thresholds rise by this over the root of the number of values: small splits differ."
    )
    min_domain_mass: Share = Field(0.95, description="Share of a category's values that must be known from train.")
    min_rows: int = Field(1, ge=1, description="Least rows of every split.")
    min_rows_per_class: int = Field(1, ge=1, description="Least rows of every class in train.")
    max_duplicates: Share = Field(0.05, description="Share of a split's rows that stand in train, too.")
    max_near_duplicates: Share = Field(0.05, description="Share of a split's rows whose text nearly stands in train.")
    max_label_conflicts: Share = Field(0.02, description="Share of train's rows whose equals have another label.")
    max_leak: Share = Field(0.5, description="Share of the label's uncertainty that one feature alone may take away.")
    severity: Severities = Severities()
