/* Between module_order.c, module_report.c and module_queue.c: an attempt with the Python objects of its order. */
#ifndef FDS_MODULE_ATTEMPT_H
#define FDS_MODULE_ATTEMPT_H

#include "module.h"

/* Buffers that are held, and where their bytes are. */
typedef struct {
    Py_buffer *buffers;
    fds_span *spans;
    size_t count;
} py_buffers;

/* An attempt with the Python objects that its order borrows from. One allocation; the arrays follow. */
typedef struct py_attempt py_attempt;
struct py_attempt {
    fds_attempt attempt; /* first: an fds_attempt from the queue is one of these */
    py_attempt *previous, *next;
    PyObject *order;     /* keeps every string, the endpoint and the credentials alive */
    PyObject *tag;       /* borrowed from the order */
    py_buffers given;    /* the body's, then the target's */
    py_buffers later;    /* of a target that is set on proceeding, in an allocation of its own */
    int paused;          /* its head has been taken, its target is awaited */
};

/* A tuple as _native.pyi's Order describes it; NULL with an exception. */
py_attempt *fds_module_read_order(module_state *state, PyObject *order);
/* Takes the target of a paused attempt, one buffer or a tuple of them; 0, or -1 with an exception. */
int fds_module_read_target(py_attempt *self, PyObject *object);
/* An algorithm or FDS_NO_CRC; 0, or -1 with an exception. */
int fds_module_read_crc(PyObject *object, int *crc);
/* Releases the buffers and the order. */
void fds_module_free_attempt(py_attempt *self);
/* A Report; NULL with an exception. */
PyObject *fds_module_make_report(module_state *state, const py_attempt *self, int paused);
int fds_module_add_report(PyObject *module, module_state *state);

#endif
