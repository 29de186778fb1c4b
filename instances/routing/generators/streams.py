"""Random streams: training, validation and test instances never share a random number."""

from typing import Literal

import numpy as np

Stream = Literal["training", "validation", "test"]

_NUMBERS = {"training": 0, "validation": 1, "test": 2}


def stream_seed(stream: Stream, seed: int, *key: int) -> np.random.SeedSequence:
    """The seed of one stream; streams that differ in name, seed or key are independent.

    Parameters
    ----------
    stream
        What the instances are for.
    seed
        The user's seed, not negative.
    key
        Non-negative numbers of a part of the stream (a batch, an instance), so that it can be made alone.
    """
    return np.random.SeedSequence(seed, spawn_key=(_NUMBERS[stream], *key))
