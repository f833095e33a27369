"""Every fault a model file can have: its id, what it is called, why it matters and the way out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from forgediag.model import Fault

AGAIN = (
    "Delete the file and download it again.",
    "Compare its size with the one on the download page before you select it in Forge.",
)
"""How a file that is not whole gets whole."""

_ENDING = "Rename it so that it ends in {}: Forge chooses its loader by the ending alone."
_QUIET = "Forge loads it without a word; the picture is noise, black, or subtly wrong."


@dataclass(frozen=True, slots=True)
class FaultKind:
    """What all faults of one id have in common."""

    title: str
    why: str
    fix: tuple[str, ...] = AGAIN


FAULTS: Mapping[str, FaultKind] = {
    # any format
    "empty": FaultKind("The file is empty", "A download that never began, or a full disk, leaves a name with 0 bytes."),
    "zeros": FaultKind(
        "The file begins with zeros", "The space was reserved, but the download never wrote the beginning."
    ),
    "data-cut": FaultKind(
        "The file is cut", "The header promises more weights than there are: the download or copy stopped early."
    ),
    "data-extra": FaultKind(
        "Bytes follow the model",
        "More than the model is in the file: a resumed download that wrote twice, or an editor.",
    ),
    "two-files": FaultKind(
        "Two files in one", "A second file begins where the first ends: a download resumed onto a finished file."
    ),
    "tail-zeros": FaultKind("The end is all zeros", f"The end of the file was reserved but never written. {_QUIET}"),
    "tail-hole": FaultKind(
        "The end was never written", f"The end of the file is a hole on the disk: no byte of it was written. {_QUIET}"
    ),
    "zero-stretch": FaultKind(
        "A long stretch is all zeros", f"A part of the file was reserved but never written. {_QUIET}"
    ),
    # safetensors
    "header-missing": FaultKind("Too short for a header", "A safetensors file begins with 8 bytes of length."),
    "header-too-large": FaultKind(
        "No safetensors file", "Its first 8 bytes, read as the header's length, are beyond what the format allows."
    ),
    "header-cut": FaultKind("Cut inside the header", "The file ends before its own list of tensors does."),
    "header-encoding": FaultKind("The header is no text", "A safetensors header is UTF-8; these bytes are not."),
    "header-json": FaultKind("The header is damaged", "A safetensors header is JSON of a fixed form; this is not."),
    "dtype-unknown": FaultKind(
        "A dtype nobody knows",
        "No safetensors version reads it: the writer was wrong, or the header is damaged.",
        ("Use another variant of this model (fp16, bf16 or fp8_e4m3fn).",),
    ),
    "dtype-newer-than-forge": FaultKind(
        "A dtype newer than Forge",
        "The file is fine, but safetensors 0.4.2, which Forge pins, takes it for corrupted, and Forge renames it.",
        (
            "Use another variant of this model (fp16, bf16 or fp8_e4m3fn).",
            "Or a fork with a newer safetensors; a plain `pip install -U safetensors` is undone by Forge.",
        ),
    ),
    "tensor-offsets": FaultKind("Tensors do not line up", "Tensors must follow one another without hole or overlap."),
    "tensor-size": FaultKind("A tensor's size is wrong", "A tensor's place has another size than its shape and dtype."),
    # GGUF
    "gguf-magic": FaultKind("No GGUF file", "A GGUF file begins with the letters GGUF."),
    "gguf-version": FaultKind(
        "A GGUF version Forge cannot read",
        "Forge reads versions 2 and 3; version 1 is of early 2023.",
        ("Download a newer conversion of the model.",),
    ),
    "gguf-byte-order": FaultKind(
        "GGUF for another machine",
        "The file is big-endian, for IBM mainframes. Forge finds no tensors in it, or nonsense.",
        ("Download the ordinary (little-endian) file.",),
    ),
    "gguf-header": FaultKind("The GGUF header is damaged", "Its list of keys and tensors cannot be read to its end."),
    "gguf-cut": FaultKind("Cut inside the header", "The file ends before its own list of tensors does."),
    "gguf-count": FaultKind("An absurd count", "The header counts more than a file of this size can hold."),
    "gguf-type": FaultKind(
        "A tensor type that does not exist",
        "The number stands for no type that the GGUF reader in Forge knows: damaged, or newer than it.",
        ("Use a common quantisation of this model (Q4_0, Q5_K_S, Q8_0).",),
    ),
    "gguf-type-forge": FaultKind(
        "A quantisation Forge cannot compute",
        "Forge reads the file but takes these tensors as raw bytes of a wrong shape, so the model fails to load.",
        ("Use a quantisation that Forge knows: Q2_K to Q6_K, Q4_0, Q4_1, Q5_0, Q5_1 or Q8_0.",),
    ),
    "gguf-duplicate": FaultKind("A name occurs twice", "Two tensors or keys of one name: the file is damaged."),
    "gguf-shape": FaultKind("An impossible shape", "A tensor's shape does not fit its type: the file is damaged."),
    "gguf-alignment": FaultKind("A wrong alignment", "The alignment of the data must be a power of two."),
    "gguf-offsets": FaultKind(
        "Tensors do not line up", f"Tensors overlap, or lie off the file's own alignment. {_QUIET}"
    ),
    "gguf-split": FaultKind(
        "One piece of a split file",
        "Forge loads a single file: the tensors of the other pieces are missing.",
        ("Join the pieces with `llama-gguf-split --merge FIRST OUTPUT`, or download an unsplit file.",),
    ),
    "gguf-split-missing": FaultKind(
        "A piece of a split file is missing",
        "The model cannot be joined, and Forge loads a single file only.",
        (
            "Download the missing piece into the same folder.",
            "Then join the pieces with `llama-gguf-split --merge FIRST OUTPUT`, or download an unsplit file instead.",
        ),
    ),
    "gguf-split-mixed": FaultKind(
        "Pieces of different split files",
        "The pieces count differently, or one is not what its name says: they do not belong together.",
        ("Delete the pieces and download all of one release, or download an unsplit file.",),
    ),
    # pickles
    "pickle-unreadable": FaultKind("torch.load cannot read it", "It is no zip archive and no pickle."),
    "pickle-cut": FaultKind("The file is cut", "The download or copy stopped early: torch.load finds no end."),
    "pickle-broken": FaultKind("The pickle is damaged", "Its opcodes make no sense: torch.load stops there."),
    "pickle-not-torch": FaultKind("A pickle that torch did not write", "torch.load refuses it after it has run it."),
    "zip-directory": FaultKind("The zip archive is damaged", "Its directory does not fit its contents."),
    "zip-not-torch": FaultKind(
        "A zip archive that torch did not write",
        "Forge does not unpack archives: torch.load looks for its own records in it.",
        ("If a model is inside, unpack the archive and put the model file itself here.", *AGAIN),
    ),
    "zip-version": FaultKind(
        "A torch file of a version that is not known", "Its version or byte order record makes no sense to torch."
    ),
    "torchscript": FaultKind(
        "A TorchScript program, not a model",
        "torch.load starts it as a program; Forge finds no weights in it.",
        ("Download the weights of this model (.safetensors) instead.",),
    ),
    "record-missing": FaultKind("A tensor's data is missing", "The archive lacks a record that its pickle names."),
    "record-size": FaultKind("A tensor's data has another size", "A record is shorter or longer than its tensor."),
    "record-crc": FaultKind("The contents have changed", f"A record's CRC-32 is not the one written. {_QUIET}"),
    "record-unreadable": FaultKind("A record cannot be read", "The archive's directory points to something else."),
    "tensor-bounds": FaultKind("A tensor is larger than its data", "Its shape reaches beyond the end of its storage."),
    # impostors
    "lfs-pointer": FaultKind(
        "A git-lfs pointer, not the model",
        "A clone without git-lfs leaves a small text file in the place of each large one.",
        (
            "Run `git lfs install` and `git lfs pull` in the folder it came from.",
            "Or download the file itself from its page (the download button, not a git clone).",
        ),
    ),
    "html-page": FaultKind(
        "A web page, not the model",
        "The server answered with a log-in or error page and the browser saved that.",
        ("Delete the file.", "Log in, or accept the model's licence, on its page and download it from there."),
    ),
    "json-answer": FaultKind("A server's answer, not the model", "The server answered with an error in JSON."),
    "text": FaultKind("Plain text, not the model", "The server answered with a line of text."),
    "archive": FaultKind(
        "An archive, not a model",
        "Forge does not unpack archives.",
        ("Unpack the archive and put the model file inside it in this place.",),
    ),
    "named-wrong-gguf": FaultKind("GGUF under another name", "Its ending is not .gguf.", (_ENDING.format(".gguf"),)),
    "named-wrong-zip": FaultKind(
        "A torch file under another name", "Its ending belongs to another format.", (_ENDING.format(".ckpt or .pt"),)
    ),
    "named-wrong-pickle": FaultKind(
        "A pickle under another name", "Its ending belongs to another format.", (_ENDING.format(".ckpt or .pt"),)
    ),
    "named-wrong-safetensors": FaultKind(
        "safetensors under another name",
        "Its ending is not .safetensors.",
        (_ENDING.format(".safetensors"),),
    ),
    # names
    "download-leftover": FaultKind(
        "A download that did not finish",
        "The ending is one that a download program or Forge uses until a file is whole.",
        ("Let the download finish or start it again, then delete this file.",),
    ),
    "download-leftover-whole": FaultKind(
        "A finished download under its working name",
        "The file is whole, but Forge does not list this ending.",
        ("Take the last ending off its name.",),
    ),
    "control-file": FaultKind(
        "A download beside it is unfinished",
        "aria2 keeps this file beside a download until it is whole.",
        ("Start aria2 again with the same address to finish it.", "Delete both files to begin anew."),
    ),
    "sft-not-listed": FaultKind(
        "An ending Forge never lists",
        "Forge lists .ckpt, .safetensors and .gguf; a file that ends in .sft is not shown.",
        ("Rename it so that it ends in .safetensors.",),
    ),
    "corrupted-but-whole": FaultKind(
        "Forge renamed a good file",
        "Forge adds .corrupted when any load fails, also for want of memory. This file is whole.",
        (
            "See that no new file has its old name, then take .corrupted off the name.",
            "Find out why the load failed: short memory is the usual cause; the console has the error.",
        ),
    ),
    # the wrong folder
    "misplaced-lora": FaultKind(
        "A LoRA in the wrong folder", "It changes a checkpoint; it is none.", ("Move it to models/Lora.",)
    ),
    "misplaced-embedding": FaultKind(
        "An embedding in the wrong folder", "It adds a word; it is no checkpoint.", ("Move it to embeddings.",)
    ),
    "misplaced-controlnet": FaultKind(
        "A ControlNet in the wrong folder", "It steers a checkpoint; it is none.", ("Move it to models/ControlNet.",)
    ),
    "misplaced-upscaler": FaultKind(
        "An upscaler in the wrong folder", "It enlarges pictures; it is no checkpoint.", ("Move it to models/ESRGAN.",)
    ),
    "misplaced-vae": FaultKind(
        "A VAE in the checkpoint folder",
        "It is one part of a model, chosen beside a checkpoint.",
        ("Move it to models/VAE and select it as VAE / Text Encoder.",),
    ),
    "misplaced-text-encoder": FaultKind(
        "A text encoder in the checkpoint folder",
        "It is one part of a model, chosen beside a checkpoint.",
        ("Move it to models/text_encoder and select it as VAE / Text Encoder.",),
    ),
    # folders
    "diffusers-part": FaultKind(
        "One part of a diffusers folder",
        "Forge lists every file in its checkpoint folder; one part of a diffusers model is no checkpoint.",
        ("Move the folder out of the checkpoint folder, and download the single-file version of the model.",),
    ),
    "diffusers-incomplete": FaultKind(
        "A diffusers folder lacks files",
        "Its index names weights that are not there.",
        ("Download the missing files into the folder.",),
    ),
}


def fault(
    id: str,  # noqa: A002 - the field it fills
    message: str,
    *,
    says: str | None = None,
    offset: int | None = None,
    fix: tuple[str, ...] | None = None,
) -> Fault:
    """A fault of one of the `FAULTS`.

    Raises:
        KeyError: no such id.
    """
    return Fault(id, message, FAULTS[id].fix if fix is None else fix, says, offset)
