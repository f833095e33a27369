"""A simulated Forge and GPU, and builders of model files: for `demo`, the tests and plug-in authors."""
