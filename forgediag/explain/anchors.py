"""Where in many lines something could be: one word of each pattern, looked for in what is new among them."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from itertools import accumulate, compress

from forgediag.explain.machine import WORDS
from forgediag.explain.signature import NUMBER, Pattern, Signature, signatures
from forgediag.explain.text import plain, squeezed

Matches = tuple[tuple[Signature, Pattern], ...]
Candidates = Mapping[int, Matches]

MARKS = (
    "Traceback (most",
    'File "',
    "During handling of",
    "direct cause",
    "Loading Model",
    "Launching ",
    "Python 3.",
    "Total VRAM ",
    "Total progress: 100%",
    "2img HTTP/1.",
    "Error",
    "Exception",
    *WORDS,
)
"""What the course of things shows in: tracebacks, loads, starts, ends, errors that no signature knows, and the card."""

KINDS = 20_000
"""Kinds of lines that are remembered."""

LONG = 400
"""Bytes of the longest kind of line that is remembered."""

ORDINARY = """
Launching Web UI with arguments: --api --port 7860
Environment vars changed: {'stream': False, 'inference_memory': 1024.0, 'pin_shared_memory': False}
[GPU Setting] You will use 93.75% GPU memory (15359.00 MB) to load weights, and use 6.25% to do matrix computation.
Loading Model: {'checkpoint_info': {'filename': '/models/Stable-diffusion/x.safetensors', 'hash': '1a2b'}, \
'additional_modules': ['/models/VAE/ae.safetensors', '/models/text_encoder/t5xxl.safetensors'], 'unet_storage_dtype':
Model selected: Using online LoRAs in FP16: False Using Default T5 Data Type: torch.float16 Calculating sha256 for
[Unload] Trying to free all memory for cuda:0 with 0 models keep loaded ... Current free memory is 9078.31 MB ... Done.
Unload model JointTextEncoder IntegratedAutoencoderKL KModel Begin to load 1 model To load target model
StateDict Keys: {'unet': 686, 'vae': 248, 'text_encoder': 196, 'ignore': 0}
Working with z of shape (1, 4, 32, 32) = 4096 dimensions.
K-Model Created: {'storage_dtype': torch.float32, 'computation_dtype': torch.float32}
Model loaded in 13.4s (unload existing model: 0.8s, forge model load: 10.3s, calculate hash: 2.4s).
[Memory Management] Target: KModel, Free GPU: 9078.31 MB, Model Require: 4897.05 MB, Previously Loaded: 0.00 MB, \
Inference Require: 1024.00 MB, Remaining: 3157.26 MB, All loaded to GPU. CPU Swap Loaded (blocked method): Estimated
Moving model(s) has taken 1.46 seconds LoRA patching has taken 2.00 seconds Patching LoRAs for KModel Cleanup minimal
[LORA] Loaded x.safetensors for KModel-UNet with 722 keys at weight 1.0 (skipped 0 keys) with on_the_fly = False
Total progress: 100%|██████████| 20/20 [00:06<00:00,  3.10it/s] 2.35s/it
WARNING:root:Sampler Scheduler autocorrection: "Euler" -> "Euler", "None" -> "Automatic"
INFO:     127.0.0.1:1 - "GET /sdapi/v1/progress?skip_current_image=true HTTP/1.1" 200 OK
INFO:     127.0.0.1:1 - "POST /sdapi/v1/txt2img HTTP/1.1" 200 OK /sdapi/v1/options /internal/progress /queue/join
[ControlNet] - INFO - UI callback registered. ControlNet Input Mode: InputMode.SIMPLE Using preprocessor: canny
Running on local URL:  http://127.0.0.1:7860 Startup time: 12.3s (prepare environment: 2.1s, import torch: 4.5s).
Tiled VAE Face restoration Upscale saved prompt negative sampling steps seed images batch code value size
"""
"""What healthy logs are full of: a word that is in it does not say much."""

_NINES = bytes.maketrans(b"012345678", b"9" * 9)
_GONE = b"\\"


def anchor(pattern: Pattern) -> str:
    """The word of a pattern that text must hold for the pattern to be in it: its longest that is not ordinary."""
    words = (word for piece in NUMBER.sub("*", pattern.text).split("*") for word in piece.split())
    return max(words, key=lambda word: (word not in ORDINARY, len(word)))


class Anchors:
    """The words of all signatures, and which kinds of lines have none.

    A line's kind is the line without backslashes, every digit a 9. What holds a word holds the word's kind, so lines of
    a kind that was searched once need no second search.
    """

    def __init__(self, signatures: Sequence[Signature]) -> None:
        self.signatures = signatures
        words: dict[bytes, list[tuple[Signature, Pattern]]] = {}
        for signature in self.signatures:
            for pattern in signature.patterns:
                words.setdefault(_kinds([anchor(pattern)])[0], []).append((signature, pattern))
        self._words = {word: tuple(patterns) for word, patterns in words.items()}
        self._marks = _kinds(MARKS)
        self._dull: set[bytes] = set()
        self._known: dict[bytes, tuple[Matches] | None] = {}

    def find(self, lines: Sequence[str]) -> tuple[list[int], Candidates]:
        """Which lines may have a mark, and which patterns could be in which lines; lines have no line ends."""
        kinds, known = _kinds(lines), self._known
        if len(known) > KINDS:
            known.clear()
        new = list(set(kinds).difference(known))
        for start in range(0, len(new), 1000):
            known.update(self._searched(new[start : start + 1000]))
        marked = list(compress(range(len(kinds)), map(known.__getitem__, kinds)))
        found = {line: matches for line in marked for matches in known[kinds[line]] or () if matches}
        for kind in new:
            if len(kind) > LONG:
                del known[kind]
        return marked, found

    def _searched(self, kinds: Sequence[bytes]) -> Iterator[tuple[bytes, tuple[Matches] | None]]:
        """What could be in lines of each kind; nothing (None) in most."""
        text = b"\n".join(kinds)
        starts = [0, *accumulate(len(kind) + 1 for kind in kinds)]
        marked = {line for mark in self._marks for line in _lines_with(mark, text, starts)}
        parts = [kind.split() for kind in kinds]
        telling = self._telling(set[bytes]().union(*parts))
        for line, kind in enumerate(kinds):
            matches: Matches = ()
            if not telling.keys().isdisjoint(parts[line]):
                found = (one for part in dict.fromkeys(parts[line]) for one in telling.get(part, ()))
                matches = tuple(one for one in found if _possible(one[1], kind))
            yield kind, (matches,) if matches or line in marked else None

    def _telling(self, parts: set[bytes]) -> Mapping[bytes, Matches]:
        """Those parts of lines, between blanks, that hold a word of a pattern, and which."""
        if len(self._dull) > KINDS:
            self._dull.clear()
        new = list(parts.difference(self._dull))
        text = b"\n".join(new)
        starts = [0, *accumulate(len(part) + 1 for part in new)]
        telling: dict[bytes, Matches] = {}
        for word, patterns in self._words.items():
            for at in _lines_with(word, text, starts):
                telling[new[at]] = telling.get(new[at], ()) + patterns
        self._dull.update(part for part in new if part not in telling and len(part) <= LONG)
        return telling


@cache
def anchors() -> Anchors:
    """Those of all signatures that come with forgediag."""
    return Anchors(signatures())


def _possible(pattern: Pattern, kind: bytes) -> bool:
    """Whether numbers as great as the digits allow would be great enough."""
    return not pattern.numbers or pattern.find(squeezed(plain(kind.decode("utf-8", "replace")))) >= 0


def _kinds(lines: Sequence[str]) -> list[bytes]:
    return "\n".join(lines).encode("utf-8", "surrogatepass").translate(_NINES, _GONE).split(b"\n")


def _lines_with(word: bytes, text: bytes, starts: Sequence[int]) -> list[int]:
    lines: list[int] = []
    position = text.find(word)
    while position >= 0:
        line = bisect_right(starts, position) - 1
        lines.append(line)
        position = text.find(word, starts[line + 1])
    return lines
