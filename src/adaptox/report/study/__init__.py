"""The report of a study: many runs, one comparison."""
