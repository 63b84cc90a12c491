"""The routing file: its models, loading, checking and compiling. No network."""
