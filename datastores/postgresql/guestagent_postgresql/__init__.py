"""PostgreSQL as a datastore of the guest agent."""
