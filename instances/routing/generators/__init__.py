"""Generators of routing instances, seeded and vectorised."""

from instances.routing.generators.catalogue import KINDS, Kind, generate
from instances.routing.generators.sample import Sample
from instances.routing.generators.streams import Stream, stream_seed
from instances.routing.generators.uniform import sample_uniform
from instances.routing.generators.x import sample_x

__all__ = ["KINDS", "Kind", "Sample", "Stream", "generate", "sample_uniform", "sample_x", "stream_seed"]
