"""Generators of integers to factor, seeded."""

from instances.factoring.generators.catalogue import KINDS, Kind, generate
from instances.factoring.generators.primes import Split, split_of

__all__ = ["KINDS", "Kind", "Split", "generate", "split_of"]
