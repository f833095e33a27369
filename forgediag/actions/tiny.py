"""The smallest picture Forge can be asked for, and what came of it: the only sure test of a load over the API."""

from __future__ import annotations

import asyncio
import base64
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

import httpx

from forgediag.actions import Address
from forgediag.actions.picture import PictureError, look
from forgediag.sources.forge import http_client

REQUEST: Mapping[str, Any] = {
    "prompt": "",
    "steps": 1,
    "width": 64,
    "height": 64,
    "seed": 1,
    "cfg_scale": 1,
    "sampler_name": "Euler",
    "save_images": False,
    "send_images": True,
}
"""Nothing is kept: `save_images` false, the default, sets do_not_save_samples (Forge dfdcbab, modules/api/api.py)."""

STUCK = "'NoneType' object has no attribute 'sd_checkpoint_info'"
"""What every request is answered after a failed load, on the selection that was loaded well before it (observed)."""

End = Literal["picture", "black", "one-colour", "unseen", "error", "no-answer"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a request for a tiny picture ended.

    Attributes:
        end: a picture, one that is black or of one colour, one that could not be looked at, an error, or nothing.
        type: the exception's name, as Forge answers it.
        message: its text, word for word; or why a picture could not be looked at.
        seconds: what it took, a model's load included.
    """

    end: End
    type: str = ""
    message: str = ""
    seconds: float = 0.0

    @property
    def loaded(self) -> bool:
        """Whether Forge had a model and ran it."""
        return self.end in {"picture", "black", "one-colour", "unseen"}

    @property
    def stuck(self) -> bool:
        """Whether it is the error of a server left without a model by a failed load."""
        return self.type == "AttributeError" and self.message == STUCK

    def __str__(self) -> str:
        """In words."""
        told = {
            "picture": "a picture",
            "black": "a picture that is black all over",
            "one-colour": "a picture of a single colour",
            "unseen": f"a picture that cannot be looked at: {self.message}",
            "error": f"{self.type}: {self.message}",
            "no-answer": f"no answer: {self.message}",
        }
        return f"{told[self.end]} ({self.seconds:.1f} s)"


async def tiny(address: Address, seconds: float) -> Outcome:
    """Ask for a picture of 64x64 in one step and look at it.

    Args:
        address: where Forge answers.
        seconds: how long it may take, with a model's load.
    """
    client = http_client(address.url, address.auth, seconds, address.transport)
    started = time.monotonic()
    try:
        sent = client.post(f"{address.url}/sdapi/v1/txt2img", json=dict(REQUEST))
        outcome = _outcome(await asyncio.wait_for(sent, seconds))
    except (asyncio.TimeoutError, httpx.TimeoutException):
        outcome = Outcome("no-answer", message=f"not within {seconds:g} s")
    except httpx.HTTPError as error:
        outcome = Outcome("no-answer", message=str(error) or type(error).__name__)
    finally:
        await client.aclose()
    return Outcome(outcome.end, outcome.type, outcome.message, time.monotonic() - started)


def _outcome(response: httpx.Response) -> Outcome:
    try:
        body: Any = response.json()
    except ValueError:
        return Outcome("error", f"HTTP {response.status_code}", "an answer that is not JSON")
    answer: Mapping[str, Any] = cast("Mapping[str, Any]", body) if isinstance(body, dict) else {}
    if response.status_code != 200:
        text = answer.get("message") or answer.get("detail") or "without a reason"
        return Outcome("error", str(answer.get("error") or f"HTTP {response.status_code}"), str(text))
    images: Sequence[Any] = answer.get("images") or ()
    if not images:
        return Outcome("unseen", message="Forge sent none")
    try:
        picture = look(base64.b64decode(str(images[0]).rpartition(",")[2], validate=True))
    except (PictureError, ValueError) as error:
        return Outcome("unseen", message=str(error))
    return Outcome("black" if picture.black else "one-colour" if picture.one_colour else "picture")
