#include "error.h"

#define DEFINE_ERROR(name, status, code, message) const fds_ns_error FDS_NS_##name = {status, code, message};
FDS_NS_ERRORS(DEFINE_ERROR)
