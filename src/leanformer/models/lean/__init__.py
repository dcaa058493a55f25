"""Models of uneven shape or stored form, as transformers' own classes load them."""
