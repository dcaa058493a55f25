"""What tells one piece of work from another: digests, differences, whose a folder is."""
