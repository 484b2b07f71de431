"""HTTP: the routes, what guards them, and the server that carries them."""
