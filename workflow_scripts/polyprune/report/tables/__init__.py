"""Tables as people read them: rows arranged in blocks, as Markdown and as pictures. Reads score files; no torch."""
