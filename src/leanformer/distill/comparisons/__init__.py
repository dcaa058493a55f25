"""What objectives share: which layers, tokens and widths of student and teacher are compared."""
