"""What a person is told of a run."""

import io
import logging

from pipeline.console import PROGRESS_LOGGER, RunConsole


def test_a_notice_is_a_line_and_progress_one_line_an_epoch(caplog):
    stream = io.StringIO()
    logger = logging.getLogger(PROGRESS_LOGGER)
    console = RunConsole(stream)
    logger.addHandler(console)
    try:
        with caplog.at_level(logging.INFO, logger=PROGRESS_LOGGER):
            logger.warning("fetched %s, licence [%s]", "two files", "MIT")
            for step in (1, 2):
                progress = {"epoch": 1, "epochs": 1, "step": step, "steps": 2}
                logger.info("step %d", step, extra={"progress": progress})
                logger.info("of a trial", extra={"progress": {**progress, "trial": "trial 1/2"}})
            with console.step("Trainer"):  # its epochs begin at 1 again
                logger.info("last step", extra={"progress": progress})
    finally:
        logger.removeHandler(console)
    assert [line.strip() for line in stream.getvalue().splitlines()] == [
        "fetched two files, licence [MIT]",
        "step 1",
        "step 2",
        "last step",
    ]
