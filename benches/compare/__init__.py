"""What `benches/run` is made of: each module has one idea, and says it in its first line."""
