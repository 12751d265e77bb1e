"""How an object becomes a header and buffers, and how it comes back: one serializer a file, chosen by the registry."""
