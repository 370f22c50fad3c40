"""Where rows are kept. Engines never import each other; each imports its own driver only."""
