"""The console's pages: the API's values, drawn by `console`. Forms do what the API does, and nothing else."""
