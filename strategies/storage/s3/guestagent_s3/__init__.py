"""S3 as an object store of the guest agent."""
