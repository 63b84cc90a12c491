"""What `crossdock doctor` looks at: checks side by side, each of which says what it found and what to do about it."""
