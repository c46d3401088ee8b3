"""The optimizer and its learning-rate schedule."""

import keras

from models.spec import TrainOptions

UNDECAYED = ["bias", "gamma", "beta"]
"""Names of the variables without weight decay: biases, and scale and centre of a norm."""


def make_optimizer(options: TrainOptions, steps_per_epoch: int) -> keras.optimizers.Optimizer:
    """AdamW whose rate rises linearly and then falls along a half cosine to 0.

    Args:
        options: rates and lengths.
        steps_per_epoch: batches of one epoch.

    Returns:
        a fresh optimizer.
    """
    steps = options.epochs * steps_per_epoch
    warmup_steps = round(steps * options.warmup_ratio)
    schedule = keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=0.0 if warmup_steps else options.learning_rate,
        decay_steps=max(steps - warmup_steps, 1),
        warmup_target=options.learning_rate if warmup_steps else None,
        warmup_steps=warmup_steps,
    )
    optimizer = keras.optimizers.AdamW(
        schedule, weight_decay=options.weight_decay or None, global_clipnorm=options.clip_norm
    )
    optimizer.exclude_from_weight_decay(var_names=UNDECAYED)
    return optimizer
