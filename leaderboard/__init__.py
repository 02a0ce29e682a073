"""The leaderboard: rows, their checks, and what is generated from them."""
