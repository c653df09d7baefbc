"""Everything that touches the machine: commands, processes, files, accounts, volumes, facts."""
