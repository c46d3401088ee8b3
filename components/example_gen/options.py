"""What the user's config says about the table, as it travels to the executor."""

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

LABEL_KEY = "label"
"""Key of the label in every tf.Example."""

SPLITS = ("train", "eval", "test")

Format = Literal["csv", "jsonl", "parquet", "tfrecord"]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ColumnOptions(_Frozen):
    """One column of the table that becomes a feature."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$", description="Key in the tf.Example.")
    column: str = Field(description="Name in the table.")
    type: Literal["text", "number", "category", "passthrough"]
    required: bool = Field(False, description="A row without a value is quarantined.")


class SplitRatio(_Frozen):
    """Weights by which rows are dealt out to the splits."""

    train: int = Field(8, ge=1)
    eval: int = Field(1, ge=1)
    test: int = Field(1, ge=1)


class TableOptions(_Frozen):
    """How the table is written, how it is split, and which rows are refused: what a user's config says of it."""

    label: str = Field(min_length=1, description="Column that holds the class.")
    format: Format | None = Field(None, description="Default: told from the file's content and name.")
    encoding: str | None = Field(None, description="Default: a byte order mark's, else UTF-8.")
    delimiter: str | None = Field(None, description="Default: told from the first rows of the file.")
    split: SplitRatio = SplitRatio()
    split_seed: int = Field(0, ge=0, lt=2**64, description="Another seed deals the rows out anew.")
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
    """The same with the features' columns: all that the executor needs."""

    columns: tuple[ColumnOptions, ...] = Field(min_length=1)
    quarantine_dir: str = Field(min_length=1)

    @model_validator(mode="after")
    def _names_are_unique(self) -> Self:
        names = [column.name for column in self.columns]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"Feature names must be unique. Received twice: {twice}")
        if LABEL_KEY in names:
            raise ValueError(f"`{LABEL_KEY}` is the label's key and cannot name a feature.")
        if all(column.type == "passthrough" for column in self.columns):
            raise ValueError(
                "At least one feature must be of type text, number or category. Received: passthrough only"
            )
        if self.label in {column.column for column in self.columns}:
            raise ValueError(f"The label column `{self.label}` cannot be a feature as well.")
        return self

    def of_type(self, *types: str) -> tuple[ColumnOptions, ...]:
        """The columns of the named types, in the config's order."""
        return tuple(column for column in self.columns if column.type in types)

    def used_columns(self) -> tuple[str, ...]:
        """Every column of the table that has to be read, each once."""
        extra = () if self.split_by is None else (self.split_by,)
        return tuple(dict.fromkeys((*(column.column for column in self.columns), self.label, *extra)))
