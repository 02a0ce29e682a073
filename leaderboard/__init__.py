"""The leaderboard: its rows, their statistics, and the pages generated from them."""
