"""The static site: the leaderboard as pages that need no server and no network."""
