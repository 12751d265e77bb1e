"""The driver: makes the jobs' requests, attempt by attempt, in the calling thread.

`driver` is the loop. A turn of it sends what there is room for (`sending`), from what is to be done (`agenda`), and
takes the reports (`receiving`); what failed is tried again (`retrying`), what takes too long gets a second attempt or
is called off (`laggards`). However it ends, nothing is left behind (`farewell`).
"""

from fastdatastore.engine.driver.driver import Driver

__all__ = ["Driver"]
