"""What the tests share: a broker, bytes on the wire, agents as processes."""
