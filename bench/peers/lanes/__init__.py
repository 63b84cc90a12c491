"""How each peer is installed, started and told of a deal; what it then does is in `apps/`."""
