"""Getting artifacts: their manifests, then their chunks, verified, in the places where their buffers belong.

`manifests` reads what artifacts are. `fetch` is the pipeline of their bytes: while chunks are received, straight into
the recycled memory of an artifact (`regions`, `artifact`), those before them are expanded and verified by threads
(`incoming`).
"""

from fastdatastore.store.get.fetch import fetch
from fastdatastore.store.get.manifests import read_manifests

__all__ = ["fetch", "read_manifests"]
