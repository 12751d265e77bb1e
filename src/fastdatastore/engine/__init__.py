"""The engine: jobs (one object each) become requests; the driver makes attempts of them over the data plane."""
