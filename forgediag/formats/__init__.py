"""File formats: bytes to Header. Reads from a buffer it is handed; never unpickles, never needs torch."""
