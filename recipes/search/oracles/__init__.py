"""Search algorithms: Keras Tuner oracles, which propose the trials of a search."""
