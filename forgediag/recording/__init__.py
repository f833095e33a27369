"""A recording of generations as a document: read and written as JSON, drawn as HTML, PNG or a trace."""

from forgediag.recording.document import Recorded, RecordingError, from_json, to_json
from forgediag.recording.page import html
from forgediag.recording.trace import trace

__all__ = ["Recorded", "RecordingError", "from_json", "html", "to_json", "trace"]
