"""Makes images of the guest agent runtime, looks into them, and says whether they may leave the builder's machine."""
