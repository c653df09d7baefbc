"""Operations: what changes the guest, one at a time, as plans of named steps."""
