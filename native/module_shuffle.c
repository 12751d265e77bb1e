/* shuffle() and unshuffle(): between two buffers of the same size. */
#include "module.h"

#include "shuffle.h"

/* Items of a frame: its header has one byte for them. */
enum { MIN_ITEM = 2, MAX_ITEM = 255 };

typedef void direction(uint8_t *target, const uint8_t *source, size_t size, size_t item);

static int overlap(const Py_buffer *a, const Py_buffer *b) {
    uintptr_t first = (uintptr_t)a->buf, second = (uintptr_t)b->buf;
    return first < second + (size_t)b->len && second < first + (size_t)a->len;
}

static PyObject *between(direction *move, const char *format, PyObject *arguments) {
    Py_buffer source, target;
    Py_ssize_t item;
    if (!PyArg_ParseTuple(arguments, format, &source, &target, &item))
        return NULL;
    PyObject *result = NULL;
    if (item < MIN_ITEM || item > MAX_ITEM) {
        PyErr_Format(PyExc_ValueError, "item must be %d to %d, got %zd", MIN_ITEM, MAX_ITEM, item);
    } else if (source.len != target.len || overlap(&source, &target)) {
        PyErr_Format(PyExc_ValueError, "source and target must be two buffers of one size, got %zd and %zd bytes",
                     source.len, target.len);
    } else {
        Py_BEGIN_ALLOW_THREADS;
        move(target.buf, source.buf, (size_t)source.len, (size_t)item);
        Py_END_ALLOW_THREADS;
        result = Py_NewRef(Py_None);
    }
    PyBuffer_Release(&source);
    PyBuffer_Release(&target);
    return result;
}

PyObject *fds_module_shuffle(PyObject *module, PyObject *arguments) {
    (void)module;
    return between(fds_shuffle, "y*w*n:shuffle", arguments);
}

PyObject *fds_module_unshuffle(PyObject *module, PyObject *arguments) {
    (void)module;
    return between(fds_unshuffle, "y*w*n:unshuffle", arguments);
}
