"""IntegratedAutoencoderKL: the tensors Forge expects of a VAE, and what it makes of those it is given."""
