"""The task `apogee-giants`: its population, its emulator and the manifest of its data."""
