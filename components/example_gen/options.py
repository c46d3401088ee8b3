"""What the user's config says about the table, as it travels to the executor."""

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

LABEL_KEY = "label"
"""Name of the label where a config has one only."""

SPLITS = ("train", "eval", "test")

Format = Literal["csv", "jsonl", "parquet", "tfrecord"]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class _Column(_Frozen):
    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$", description="Key in the tf.Example.")
    column: str = Field(min_length=1, description="Name in the table.")


class ColumnOptions(_Column):
    """One column of the table that becomes a feature."""

    type: Literal["text", "number", "category", "passthrough"]
    required: bool = Field(False, description="A row without a value is quarantined.")


class LabelOptions(_Column):
    """One column of the table that is to be predicted."""

    type: Literal["category", "categories", "number"] = Field(
        "category", description="One class; any number of classes, none too; or a number."
    )
    separator: str = Field("|", min_length=1, description="Between the classes of a row of `categories`.")


class SplitRatio(_Frozen):
    """Weights by which rows are dealt out to the splits."""

    train: int = Field(8, ge=1)
    eval: int = Field(1, ge=1)
    test: int = Field(1, ge=1)


class TableOptions(_Frozen):
    """How the table is written, how it is split, and which rows are refused: what a user's config says of it."""

    format: Format | None = Field(None, description="Default: told from the file's content and name.")
    encoding: str | None = Field(None, description="Default: a byte order mark's, else UTF-8.")
    delimiter: str | None = Field(None, description="Default: told from the first rows of the file.")
    split: SplitRatio = SplitRatio()
    split_seed: int = Field(0, ge=0, lt=2**64, description="Another seed deals the rows out anew.")
    replay: float = Field(
        0.0,
        ge=0,
        le=1,
        description="Share of the rows of spans before `window` that are trained on again. A row's content decides, so "
        "that it stays in or out for ever; what its own split would not give to train is never taken.",
    )
    split_by: str | None = Field(None, description="Column whose equal values stay in one split.")
    on_empty_text: Literal["use", "quarantine"] = "use"

    @field_validator("encoding")
    @classmethod
    def _encoding_is_known(cls, encoding: str | None) -> str | None:
        if encoding is not None:
            try:
                b" ".decode(encoding, "replace")
            except LookupError as error:
                raise ValueError(
                    f"`encoding` must be a text encoding that Python knows. Received: {encoding}"
                ) from error
        return encoding

    @field_validator("delimiter")
    @classmethod
    def _delimiter_is_one_character(cls, delimiter: str | None) -> str | None:
        if delimiter is not None and (len(delimiter) != 1 or delimiter in '\r\n"\0'):
            raise ValueError(f"`delimiter` must be one character, not a quote or line end. Received: {delimiter!r}")
        return delimiter


class ExampleGenOptions(TableOptions):
    """The same with the columns of features and labels: all that the executor needs."""

    columns: tuple[ColumnOptions, ...] = Field(min_length=1)
    labels: tuple[LabelOptions, ...] = Field(min_length=1)
    quarantine_dir: str = Field(min_length=1)

    @model_validator(mode="after")
    def _names_are_unique(self) -> Self:
        every: tuple[_Column, ...] = (*self.columns, *self.labels)
        names = [column.name for column in every]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"Names of features and labels must be unique. Received twice: {twice}")
        if all(column.type == "passthrough" for column in self.columns):
            raise ValueError(
                "At least one feature must be of type text, number or category. Received: passthrough only"
            )
        both = sorted({label.column for label in self.labels} & {column.column for column in self.columns})
        if both:
            raise ValueError(f"A label's column cannot be a feature as well. Received for both: {both}")
        return self

    def of_type(self, *types: str) -> tuple[ColumnOptions, ...]:
        """The columns of the named types, in the config's order."""
        return tuple(column for column in self.columns if column.type in types)

    def used_columns(self) -> tuple[str, ...]:
        """Every column of the table that has to be read, each once."""
        extra = () if self.split_by is None else (self.split_by,)
        every: tuple[_Column, ...] = (*self.columns, *self.labels)
        return tuple(dict.fromkeys((*(column.column for column in every), *extra)))
