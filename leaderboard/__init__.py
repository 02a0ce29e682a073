"""The leaderboard: its rows, their statistics, and the pages made from them."""
