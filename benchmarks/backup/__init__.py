"""How fast backups are made and restored, beside the pipelines of programs that do the same."""
