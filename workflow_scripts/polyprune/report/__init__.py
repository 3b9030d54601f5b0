"""Tables as people read them: long rows from score files, their means over seeds, Markdown and pictures. No torch."""
