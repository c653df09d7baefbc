"""The queue of operations, plans, and the record of the instance."""
