"""What keeping Python objects costs: fastdatastore.ArtifactStore beside what else is in use."""
