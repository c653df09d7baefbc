"""memcached as a datastore of the guest agent."""
