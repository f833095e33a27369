"""What Forge is: its options, model families, components and memory manager as pure functions and data with sources."""
