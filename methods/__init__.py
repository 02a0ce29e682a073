"""Methods: the interface, the shared networks, and one module a method."""
