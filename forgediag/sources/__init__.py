"""Where facts come from: each source reads (I/O) and parses (pure) apart."""
