"""guestagent: the guest agent runtime for database VMs."""
