"""What happened before: generations, changed options, verdicts and memory curves, in one SQLite file."""

from forgediag.history.chronicle import Chronicle
from forgediag.history.store import History, HistoryError
from forgediag.history.writer import HistoryWriter, Limits

__all__ = ["Chronicle", "History", "HistoryError", "HistoryWriter", "Limits"]
