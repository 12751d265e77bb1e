/* What all listings share: names that may be percent-encoded, limits, parameters. */
#ifndef FDS_NS_LISTING_H
#define FDS_NS_LISTING_H

#include "../buf.h"
#include "request.h"

#define FDS_NS_LIST_MAX 1000

void fds_ns_list_name(fds_buf *out, const char *element, fds_ns_text name, bool url);
bool fds_ns_list_limit(const fds_ns_request *request, const char *name, uint64_t *limit); /* at most FDS_NS_LIST_MAX */
fds_ns_text fds_ns_list_parameter(const fds_ns_request *request, const char *name);       /* empty when absent */
bool fds_ns_list_encoding(const fds_ns_request *request, bool *url); /* false: an encoding-type that isn't known */

#endif
