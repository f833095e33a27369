"""What Forge's console or API said, explained: the root cause, what follows from it, what to do."""

from forgediag.explain.episode import Explanation, Trouble, explain
from forgediag.explain.events import Said
from forgediag.explain.signature import Signature, signatures

__all__ = ["Explanation", "Said", "Signature", "Trouble", "explain", "signatures"]
