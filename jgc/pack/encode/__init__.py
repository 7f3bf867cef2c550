"""How numbers become few bytes, and the file that holds them."""
