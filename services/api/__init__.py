"""The HTTP API, version 1: routes that say in JSON what the store holds, and take what is to be run."""
