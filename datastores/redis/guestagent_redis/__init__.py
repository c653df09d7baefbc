"""Redis and Valkey as datastores of the guest agent: one plugin, whichever of the two an image declares."""
