"""What a model reads and how it is trained: the description that travels from the config to TFX's callbacks.

It is plain JSON on the way (`custom_config` of Transform and Trainer), so nothing here imports TensorFlow.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

LABEL_KEY = "label"
"""Name of the head where a config has one label only, and so of the label in every tf.Example of its rows."""

WORD_LOGITS = "logits_of_words"
"""Name of the layer and of the output that say what the attended words alone tell; nothing of it is served.
No other part of a head ends so: heads named `a` and `a_word` stay apart."""

EMBEDDING = "embedding"
"""Name of the layer and of the output that rows are compared by."""

SPEC_KEY = "model_spec"
"""Key of the JSON text of a `ModelSpec` in the `custom_config` of Transform and Trainer."""


class Options(BaseModel):
    """Frozen, and refuses keys it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Feature(Options):
    column: str = Field("", description="Column of the table; default: the feature's own name.")
    required: bool = Field(False, description="A row without a value is quarantined.")


class TextFeature(Feature):
    type: Literal["text"] = "text"
    max_len: int = Field(128, ge=2, description="Word pieces kept of one text.")


class NumberFeature(Feature):
    type: Literal["number"] = "number"
    missing: Literal["mean", "zero"] = Field("mean", description="What stands in for a missing number.")


class CategoryFeature(Feature):
    type: Literal["category"] = "category"
    vocabulary_size: int = Field(1000, ge=1, description="Most frequent values kept.")
    num_oov_buckets: int = Field(4, ge=1, description="Hash buckets for all other values.")


class PassthroughFeature(Feature):
    """Kept in the examples (for slices and `split_by`), never shown to the model."""

    type: Literal["passthrough"] = "passthrough"


AnyFeature = Annotated[TextFeature | NumberFeature | CategoryFeature | PassthroughFeature, Field(discriminator="type")]


class Head(Options):
    """A label to be predicted; all heads read what the same attention pooled."""

    column: str = Field("", description="Column of the table; default: the head's own name.")
    weight: float = Field(1.0, gt=0, description="Of this head's loss in the sum of all heads'.")

    @property
    def as_read(self) -> Any:
        """The head as Transform sees it: without what says how it is learnt."""
        return self.model_copy(update={"weight": 1.0})


class SingleLabelHead(Head):
    """One class out of several."""

    type: Literal["single_label"] = "single_label"
    similarity: Literal["none", "contrastive", "triplet"] = Field(
        "none",
        description="Also learn an embedding in which rows of one class are near, served as `embed`: by supervised "
        "contrast, or by triplets. Both compare the rows of a batch, which must hold several of a class.",
    )
    similarity_weight: float = Field(0.5, gt=0, description="Of that loss beside the cross-entropy.")
    embedding_dim: int = Field(64, ge=2, description="Size of the embedding.")
    temperature: float = Field(0.3, gt=0, description="Of contrastive: the smaller, the more the nearest rows count.")
    margin: float = Field(
        0.2, gt=0, description="Of triplet: how much nearer a row's own class must be; 2 is furthest."
    )

    @property
    def as_read(self) -> Any:
        return SingleLabelHead(column=self.column)


class MultiLabelHead(Head):
    """Any number of classes at once, none too."""

    type: Literal["multi_label"] = "multi_label"
    separator: str = Field("|", min_length=1, description="Between the classes of a row.")
    threshold: float = Field(0.5, gt=0, lt=1, description="Least probability of a class that is said to hold.")


class OrdinalHead(Head):
    """One class out of several that have an order, like stars."""

    type: Literal["ordinal"] = "ordinal"
    levels: tuple[str, ...] = Field(
        (), description="The classes from the lowest to the highest; default: those of the train split, as numbers."
    )


class RegressionHead(Head):
    """A number."""

    type: Literal["regression"] = "regression"


AnyHead = Annotated[SingleLabelHead | MultiLabelHead | OrdinalHead | RegressionHead, Field(discriminator="type")]

LABEL_TYPES = {
    "single_label": "category",
    "ordinal": "category",
    "multi_label": "categories",
    "regression": "number",
}
"""Type of a head → how its label lies in the examples: one class name, several of them, or a number."""


def of_head(head: str, part: str) -> str:
    """Name of a layer, an output or a metric of a head: its own name stands before it, if that is not `label`.

    >>> of_head("label", "probabilities"), of_head("topic", "probabilities")
    ('probabilities', 'topic_probabilities')
    """
    return part if head == LABEL_KEY else f"{head}_{part}"


class TextOptions(Options):
    """One vocabulary serves every text column."""

    vocabulary_size: int = Field(8000, ge=100, description="Word pieces learnt from the train split.")
    lowercase: bool = Field(True, description="Fold case before splitting.")


class ModelOptions(Options):
    """Self-attention that learns from nothing but the rows."""

    encoder: Literal["self_attention"] = "self_attention"
    hidden_dim: int = Field(64, ge=1)
    num_layers: int = Field(1, ge=0)
    num_heads: int = Field(4, ge=1)
    feedforward_dim: int = Field(128, ge=1)
    dropout: float = Field(0.2, ge=0, lt=1)
    bigram_buckets: int = Field(65_536, ge=0, description="Rows of the hashed table of pairs of word pieces; 0: none.")
    bigram_dim: int = Field(16, ge=1, description="Size of a row of that table.")
    bigram_dropout: float = Field(0.5, ge=0, lt=1, description="Rate at which pairs are hidden in training.")
    initial_embeddings: Literal["cooccurrence", "random"] = Field(
        "cooccurrence",
        description="What word pieces start from: which stand near each other in the train split, or chance.",
    )


class BertOptions(Options):
    """A pretrained BERT reads the texts; numbers and categories join its tokens."""

    encoder: Literal["bert"] = "bert"
    preset: str = Field(
        "asset:minilm", description="`asset:NAME`, a folder as Hugging Face has it, hf://…, or a name in keras-hub."
    )
    dropout: float = Field(0.1, ge=0, lt=1)
    frozen_layers: int = Field(
        0, ge=0, description="So many first layers, and the embeddings, do not learn; 0: all do."
    )
    gradual_unfreezing: bool = Field(
        False, description="In the first epoch only the weights that no preset brings learn, then one more layer each."
    )
    layer_decay: float = Field(1.0, gt=0, le=1, description="Rate of a layer over that of the one above it.")
    head_rate: float = Field(
        10.0,
        gt=0,
        description="Rate of the weights that no preset brings, over all others' rate: they are new. 1: the "
        "recipe to the letter, in which they have learnt little by the end of a short training.",
    )
    lora_rank: int = Field(0, ge=0, description="Learn low-rank changes of queries and values alone; 0: all weights.")
    word_loss_weight: float = Field(
        0.01,
        ge=0,
        description="Of a loss by which the attended words, each without its context, shall tell what the network "
        "tells: attention then falls on words that matter. `loss` holds it, `val_loss` does not; 0: none. The rows of "
        "a batch are compared: one alone teaches nothing.",
    )


AnyModel = Annotated[ModelOptions | BertOptions, Field(discriminator="encoder")]


class TrainOptions(Options):
    epochs: int = Field(10, ge=1)
    batch_size: int = Field(64, ge=1)
    optimizer: Literal["adamw", "adam", "sgd", "lion", "adafactor"] = "adamw"
    momentum: float = Field(0.9, ge=0, lt=1, description="Of sgd.")
    learning_rate: float = Field(2e-3, gt=0)
    weight_decay: float = Field(0.01, ge=0)
    l2: float = Field(0.0, ge=0, description="Weight of the squares of kernels and embeddings in the loss.")
    warmup_ratio: float = Field(0.1, ge=0, le=1, description="Share of all steps in which the rate rises.")
    label_smoothing: float = Field(0.05, ge=0, lt=1, description="Share of the target spread over all classes.")
    schedule: Literal["cosine", "linear", "constant"] = Field("cosine", description="How the rate falls to 0, or not.")
    clip_norm: float = Field(1.0, gt=0)
    gradient_accumulation_steps: int = Field(1, ge=1, description="Batches whose mean gradient makes one step.")
    loss: Literal["cross_entropy", "focal"] = Field("cross_entropy", description="focal: easy rows count less.")
    focal_gamma: float = Field(2.0, ge=0, description="How much less; 0 is cross-entropy.")
    class_weights: Literal["none", "balanced", "effective_number"] = Field(
        "none",
        description="balanced: all classes count the same; effective_number: rare ones more, but less so.",
    )
    class_weights_beta: float = Field(0.999, ge=0, lt=1, description="Of effective_number: 0 is none.")
    early_stopping_patience: int = Field(2, ge=0, description="Epochs without a better eval accuracy; 0: never stop.")
    checkpoint_every_steps: int = Field(500, ge=1)
    calibration: Literal["none", "temperature"] = Field(
        "none",
        description="temperature: probabilities are fitted to the eval split, of single-label heads; no label changes.",
    )
    warm_start: Literal["none", "latest_blessed"] = Field(
        "none", description="latest_blessed: go on from the weights of the version that is live, if there is one."
    )
    mixed_precision: bool = Field(False, description="float16 where there is a GPU.")
    strategy: Literal["none", "mirrored", "multi_worker"] = Field(
        "none",
        description="mirrored: all GPUs of the machine; multi_worker: the processes that TF_CONFIG names. They share "
        "each batch of `batch_size` rows. Where there is one device only, that is said and one it is.",
    )
    jit_compile: bool = Field(
        False,
        description="Compile the training by XLA; texts are then padded in steps of 32, and two trainings may differ.",
    )
    seed: int = 0


class ExplainOptions(Options):
    """What the signature `explain` tells beside the pooled attention; it is part of the model: a change trains anew."""

    layers: Literal["all"] | tuple[int, ...] = Field(
        (),
        description="Layers of the encoder whose attention is told, head by head: `all`, or numbers from 1 for the "
        "first, from -1 for the last. Answers grow with the square of their tokens.",
    )
    rollout: bool = Field(
        False, description="Tell how much of each input token reached the pooled vector, through all layers."
    )

    @field_validator("layers", mode="before")
    @classmethod
    def _all_or_numbers(cls, layers: Any) -> Any:
        if layers != "all" and not (
            isinstance(layers, list | tuple)
            and all(type(number) is int for number in layers)
            and len(set(layers)) == len(layers)
        ):
            raise ValueError("must be `all` or a list of numbers, each once, such as [1, 2, -1]")
        return layers

    def places(self, num_layers: int) -> tuple[int, ...]:
        """The layers that are told.

        Args:
            num_layers: that the encoder has.

        Returns:
            places from 0 on, in the order that was asked for.

        Raises:
            ValueError: the encoder does not have such a layer.
        """
        asked = tuple(range(1, max(num_layers, 1) + 1)) if self.layers == "all" else self.layers
        if any(not 1 <= abs(number) <= num_layers for number in asked):
            among = f"numbers from 1 to {num_layers} or from -1 to -{num_layers}" if num_layers else "none"
            told = "all" if self.layers == "all" else list(asked)
            raise ValueError(f"`explain.layers` must name layers that the encoder has: {among}. Received: {told}.")
        places = tuple(number - 1 if number > 0 else num_layers + number for number in asked)
        if len(set(places)) < len(places):
            raise ValueError(
                f"`explain.layers` must name a layer once, and the encoder has {num_layers}. Received: {list(asked)}."
            )
        return places


BERT_RECIPE = {
    "epochs": 5,
    "batch_size": 16,
    "learning_rate": 2e-5,
    "weight_decay": 0.01,
    "warmup_ratio": 0.1,
    "schedule": "linear",
    "label_smoothing": 0.0,
    "clip_norm": 1.0,
    "early_stopping_patience": 0,
}
"""How a BERT is trained where a config does not say otherwise (Devlin et al. 2019, appendix A.3)."""


class ModelSpec(Options):
    """Everything that the preprocessing, the network and its training need to know."""

    name: str
    features: dict[str, AnyFeature]
    heads: dict[str, AnyHead] = Field({LABEL_KEY: SingleLabelHead()}, min_length=1)
    text: TextOptions = TextOptions()
    model: AnyModel = ModelOptions()
    preset_digest: str = Field("", description="Of a preset's files: other weights are another training.")
    train: TrainOptions = TrainOptions()
    explain: ExplainOptions = ExplainOptions()

    @property
    def inputs(self) -> dict[str, Any]:
        """The features that the model reads, in the config's order."""
        return {name: feature for name, feature in self.features.items() if feature.type != "passthrough"}

    def of_type(self, *types: str) -> dict[str, Any]:
        """The features of the named types, in the config's order."""
        return {name: feature for name, feature in self.features.items() if feature.type in types}

    @property
    def label_types(self) -> dict[str, str]:
        """Head → how its label lies in the examples: `category`, `categories` or `number`."""
        return {name: LABEL_TYPES[head.type] for name, head in self.heads.items()}

    @property
    def embedding_head(self) -> str:
        """The head whose classes say which rows are alike; `""` if none does."""
        heads = self.heads.items()
        return next((name for name, head in heads if getattr(head, "similarity", "none") != "none"), "")

    @property
    def signatures(self) -> dict[str, str]:
        """Signatures of the SavedModel that judge one head for TF Serving's Classify and Regress API.

        Returns:
            signature → head.
        """
        apis = {name: "regress" if head.type == "regression" else "classify" for name, head in self.heads.items()}
        return {api if name == LABEL_KEY else f"{api}_{name}": name for name, api in apis.items()}
