/* Requests that are turned away whatever they ask for: too many, or by chance; and how long the others wait. */
#ifndef FDS_NS_ADMISSION_H
#define FDS_NS_ADMISSION_H

#include "exchange.h"

/* NULL, or what to answer instead. */
const fds_ns_error *fds_ns_admit(fds_ns_exchange *exchange);

/* When the reply may begin; 0: at once. */
uint64_t fds_ns_reply_time(fds_ns_worker *worker);

#endif
