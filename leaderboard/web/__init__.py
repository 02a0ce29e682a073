"""The static site: the leaderboard as pages that need neither a server nor a network."""
