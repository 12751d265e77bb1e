"""`python -m fastdatastore.cli` is `fds`, for where no script is installed."""

from __future__ import annotations

from fastdatastore.cli.main import main

raise SystemExit(main())
