"""BERT: a network that has read before (Devlin et al. 2019). keras-hub reads its presets; nothing is converted here."""

import contextlib
import functools
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import keras
import keras_hub
from keras import ops

from models.attention.gelu import gelu
from models.encoders.bert_layer import BertLayer
from models.modalities.tokens import Tokens
from models.spec import BertOptions

_NAME = "bert"
_LORA_LAYERS = {"query", "value"}
"""Where Hu et al. 2021 (section 7.1) found it to pay most."""


@dataclass(frozen=True)
class WordPieces:
    """The pieces that a preset knows.

    Attributes:
        entries: in the order of their ids.
        lowercase: whether text is lower-cased and its accents removed.
        cls_and_sep: ids of [CLS] and [SEP].
    """

    entries: tuple[str, ...]
    lowercase: bool
    cls_and_sep: tuple[int, int]


@dataclass(frozen=True)
class BertReader:
    """A pretrained network.

    Attributes:
        network: token_ids, segment_ids, padding_mask `(batch, tokens)` → `sequence_output`, what the last layer gives,
            and `embeddings`, what the first one is given: each float `(batch, tokens, hidden_dim)`.
        hidden_dim: size of a token's vector.
        num_layers: that read the tokens one after the other.
        num_segments: how many texts of a row it tells apart.
        max_len: the most tokens of a row.
    """

    network: keras.Model
    hidden_dim: int
    num_layers: int
    num_segments: int
    max_len: int

    def check_length(self, tokens: int) -> None:
        """Refuses rows that may be longer than the network's positions.

        Raises:
            ValueError: says by how much.
        """
        if tokens > self.max_len:
            raise ValueError(
                f"The preset of `model.preset` has {self.max_len} positions; lower `max_len` of the text features. "
                f"Received: up to {tokens} tokens a row, [CLS] and [SEP] included"
            )


@functools.lru_cache(maxsize=2)
def read_word_pieces(preset: str) -> WordPieces:
    """Reads the word pieces of a preset.

    Args:
        preset: a folder, `hf://…`, or a preset's name in keras-hub.

    Raises:
        ValueError: it is no BERT preset, or cannot be had.
    """
    with _one_sentence(preset):
        tokenizer = keras_hub.models.BertTokenizer.from_preset(preset)
    entries = tuple(tokenizer.get_vocabulary())
    if tokenizer.pad_token_id != 0:
        raise ValueError(f"A BERT preset must have [PAD] as its first word piece. Received: {entries[0]!r}")
    return WordPieces(entries, tokenizer.lowercase, (tokenizer.cls_token_id, tokenizer.sep_token_id))


def load_reader(options: BertOptions) -> BertReader:
    """Loads a preset with its weights.

    Args:
        options: the preset, the rate of dropout in training, and which weights are to learn.

    Raises:
        ValueError: it is no BERT preset, or cannot be had; or fewer layers than are to be frozen.
    """
    with _one_sentence(options.preset):
        backbone = keras_hub.models.BertBackbone.from_preset(options.preset)
    outputs = {  # without BERT's own pooling
        "sequence_output": backbone.output["sequence_output"],
        "embeddings": backbone.get_layer("embeddings_layer_norm").output,
    }
    network = keras.Model(backbone.input, outputs, name=_NAME)
    weights = network.get_weights()
    network = keras.models.clone_model(network, clone_function=functools.partial(_clone_layer, options=options))
    network.set_weights(weights)
    _freeze(network, backbone.num_layers, options)
    sizes = backbone.hidden_dim, backbone.num_layers, backbone.num_segments, backbone.max_sequence_length
    return BertReader(network, *sizes)


def _clone_layer(layer: keras.layers.Layer, options: BertOptions) -> keras.layers.Layer:
    config = layer.get_config()
    if isinstance(layer, keras.layers.Dropout):
        config["rate"] = options.dropout
    if isinstance(layer, keras_hub.layers.TransformerEncoder):
        config["dropout"] = options.dropout
        if _activation(options.preset) == "gelu":
            config["activation"] = gelu
        return BertLayer.from_config(config)
    return type(layer).from_config(config)


def _freeze(network: keras.Model, num_layers: int, options: BertOptions) -> None:
    """Leaves only those weights trainable that the options want to learn."""
    if options.frozen_layers > num_layers:
        raise ValueError(
            f"The preset of `model.preset` has {num_layers} layers. "
            f"Received: model.frozen_layers={options.frozen_layers}"
        )
    depths = _depths(network)
    learning = [layer for layer in network.layers if depths.get(layer.name, 0) > options.frozen_layers]
    if options.frozen_layers or options.lora_rank:
        for layer in network.layers:
            layer.trainable = False
    for layer in learning if options.frozen_layers and not options.lora_rank else ():
        layer.trainable = True
    for layer in learning if options.lora_rank else ():
        # Keras tells of the layers in a layer by this way alone; keras-hub goes it, too.
        for inner in layer._flatten_layers(include_self=False):
            if inner.name in _LORA_LAYERS:
                inner.trainable = True
                inner.enable_lora(options.lora_rank)


def gradual_unfreezing(network: keras.Model, options: BertOptions) -> Callable[[int], bool]:
    """Lets the layers learn one after the other, from the top (Howard and Ruder 2018, section 3.3).

    Args:
        network: as `build_network` makes it, with a BERT in it.
        options: whether that is wanted.

    Returns:
        function of an epoch, counted from 0, that makes its layers trainable and says whether they are others than
        before. In epoch 0 none of the BERT's layers learns, in epoch 1 the uppermost does, …; the embeddings are last.
    """
    if not options.gradual_unfreezing:
        return lambda epoch: False
    reader = network.get_layer(_NAME)
    depths = {name: depth for name, depth in _depths(reader).items() if reader.get_layer(name).trainable_weights}
    top = max(_depths(reader).values())

    def unfreeze(epoch: int) -> bool:
        changed = False
        for name, depth in depths.items():
            layer, learns = reader.get_layer(name), depth > top - epoch
            changed |= layer.trainable != learns
            layer.trainable = learns
        return changed

    return unfreeze


def layer_rates(network: keras.Model, options: BertOptions) -> dict[str, float]:
    """Shares of the learning rate that grow from the embeddings to the top (Howard and Ruder 2018, section 3.2).

    Args:
        network: as `build_network` makes it, with a BERT in it.
        options: `layer_decay`, the share of a layer in the rate of the one above it, and `head_rate`.

    Returns:
        path of a variable → its share: of the uppermost layer `layer_decay`, of weights outside of the BERT
        `head_rate`. Empty if both are 1.
    """
    if options.layer_decay == options.head_rate == 1:
        return {}
    reader = network.get_layer(_NAME)
    depths = _depths(reader)
    above = max(depths.values()) + 1
    rates = {variable.path: options.head_rate for variable in network.variables}
    for layer in reader.layers:
        if layer.name in depths:
            share = options.layer_decay ** (above - depths[layer.name])
            rates |= {variable.path: share for variable in layer.variables}
    return rates


def _depths(network: keras.Model) -> dict[str, int]:
    """Name of each layer with weights → 0 for embeddings, from 1 on for the layers above."""
    depths, depth = {}, 0
    for layer in network.layers:
        depth += isinstance(layer, keras_hub.layers.TransformerEncoder)
        if layer.weights:
            depths[layer.name] = depth
    return depths


def _activation(preset: str) -> str:
    """The activation that the weights were trained with: keras-hub approximates gelu, which is up to 4e-3 off."""
    path = os.path.join(preset, "config.json")
    if preset.startswith("hf://"):
        return "gelu"
    if not os.path.isfile(path):
        return ""  # weights by BERT's own authors, who approximate, too
    with open(path, encoding="utf-8") as file:
        return json.load(file).get("hidden_act", "")


@contextlib.contextmanager
def _one_sentence(preset: str) -> Iterator[None]:
    try:
        yield
    except (ValueError, OSError, KeyError, ImportError) as error:
        reason = " ".join(str(error).split())
        raise ValueError(
            "`model.preset` must be a BERT: `asset:minilm`, a folder with config.json, model.safetensors, vocab.txt "
            "and tokenizer_config.json, or, over the network, a preset's name in keras-hub or hf://OWNER/MODEL. "
            f"Received: {preset!r} ({type(error).__name__}: {reason[:200]})"
        ) from None


def join(features: dict[str, Tokens]) -> Tokens:
    """Puts the tokens of all features into one sequence: texts were read by BERT before."""
    parts = features.values()
    alone = [part.vectors if part.before_context is None else part.before_context for part in parts]
    read = [
        ops.zeros_like(part.padding_mask) if part.before_context is None else ops.ones_like(part.padding_mask)
        for part in parts
    ]
    return Tokens(
        ops.concatenate([part.vectors for part in parts], axis=1),
        ops.concatenate([part.padding_mask for part in parts], axis=1),
        ops.concatenate(alone, axis=1),
        ops.concatenate(read, axis=1),
    )
