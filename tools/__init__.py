"""Tools of the authors: notebooks from their sources, the lint for them, pinned versions."""
