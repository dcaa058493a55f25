"""How attention is computed: kernels that several mechanisms and patterns share."""
