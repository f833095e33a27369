"""The child process of the deep probe: a VAE run in fp32 with numpy and nothing else, weights read layer by layer."""
