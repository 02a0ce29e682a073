"""Methods: the interface, one module for each method, shared parts, and controls."""
