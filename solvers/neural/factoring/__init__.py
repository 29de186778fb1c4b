"""Pointer networks for factoring: an experiment that trial division in a good order is expected to win."""
