"""A search over real trainings: what it finds, and where it goes on."""

import logging
import pathlib

import pytest

from models.search_space import TUNE_KEY, TuneOptions, tuned_values
from models.spec import SPEC_KEY
from models.training import callbacks
from models.tuner import tuner_fn

pytestmark = pytest.mark.slow

TUNE = TuneOptions(space={"train.learning_rate": [1e-9, 2e-2]}, strategy="random", trials=2)
STEPS = 2 * 9
"""Of one trial."""


@pytest.fixture(scope="module")
def searched(spec, fn_args, transform_output, tmp_path_factory):
    """A search that was cut off in its second trial and went on: its folder, its outcome, what it logged."""
    directory = tmp_path_factory.mktemp("searched")
    arguments = fn_args(
        directory,
        spec,
        transform_output=None,  # as TFX has it here
        transform_graph_path=str(pathlib.Path(transform_output.transform_savedmodel_dir).parent),
        custom_config={
            SPEC_KEY: spec.model_dump_json(),
            TUNE_KEY: TUNE.model_dump_json(),
            "search_dir": str(directory / "searches"),
        },
    )
    taken, lines = [], []
    on_train_batch_end = callbacks.KeepState.on_train_batch_end

    def cut_off(self, batch, logs=None):
        on_train_batch_end(self, batch, logs)
        taken.append(batch)
        if len(taken) == STEPS + 5:
            raise KeyboardInterrupt("stop")

    class Keep(logging.Handler):
        def emit(self, record):
            lines.append(record.getMessage())

    keep, logger = Keep(logging.INFO), logging.getLogger("attention")
    level = logger.level
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(callbacks.KeepState, "on_train_batch_end", cut_off)
        logger.setLevel(logging.INFO)
        logger.addHandler(keep)
        with pytest.raises(KeyboardInterrupt, match="stop"):
            tuner_fn(arguments).tuner.search()
        result = tuner_fn(arguments)
        result.tuner.search(**result.fit_kwargs)
        logger.removeHandler(keep)
        logger.setLevel(level)
    return directory, result.tuner.get_best_hyperparameters()[0].get_config(), lines, len(taken)


def test_it_goes_on_in_the_middle_of_a_trial(searched):
    _, found, lines, steps = searched
    assert "The search goes on; 1 of its trials have ended" in lines
    assert "Training goes on at epoch 1, step 4" in lines
    assert steps == 2 * STEPS + 2  # steps 4 and 5 came after the last checkpoint
    assert len(found["search"]["trials"]) == 2


def test_it_finds_the_rate_that_learns_and_leaves_no_checkpoint(searched):
    directory, found, _, _ = searched
    assert tuned_values(found)["train.learning_rate"] == 2e-2
    scores = {tuple(trial["values"].values()): trial["score"] for trial in found["search"]["trials"]}
    assert len(scores) == 2
    assert found["search"]["score"] == max(scores.values()) > min(scores.values())
    assert not list(directory.glob("searches/*/trial_*/checkpoint"))
    assert len(list(directory.glob("searches/*/trial_*/validation/events*"))) >= 2  # for TensorBoard
