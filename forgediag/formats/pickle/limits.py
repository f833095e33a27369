"""How much of a pickle file is read and worked on at most; what goes beyond is left unjudged and said so."""

PICKLE = 8 * 1024 * 1024
"""Bytes of pickles that are read of one file: those of a checkpoint with 1,131 tensors take 0.2 MB."""

OPCODES = 1_500_000
"""Opcodes in one file: a checkpoint with 1,131 tensors has 60,000."""

MEMORY = 384 * 1024 * 1024
"""Bytes that reading any file takes at most; an ordinary checkpoint takes some 5 MB."""

SECONDS = 5.0
"""Seconds of one core that reading any file takes at most, checksums left aside."""

DIRECTORY = 4 * 1024 * 1024
"""Bytes of a zip's central directory, some 40,000 records."""

CALLS = 200
"""Calls that are named of one file; one is enough to refuse it."""

TEXT = 64 * 1024
"""Bytes of a text or number whose value is kept; of longer ones only that they are there."""

DIGITS = 4300
"""Digits of a decimal number that are worked out, as Python's own limit."""

TENSORS = 200_000
"""Tensors of one file."""

DIMENSIONS = 64
"""torch's own limit of a tensor's dimensions."""

DEPTH = 16
"""How deep in dicts and lists tensors are looked for."""

CHUNK = 1024 * 1024
"""Bytes of a record that are held at a time while its checksum is taken."""
