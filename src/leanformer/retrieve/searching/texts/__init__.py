"""What is to be searched: documents, cut into passages that have keys and terms."""
