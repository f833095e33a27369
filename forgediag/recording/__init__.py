"""A recording of generations as a document: read and written as JSON, drawn as HTML, PNG or a trace."""
