"""One short file for each rival: please correct us where we use your library badly."""
