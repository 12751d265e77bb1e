/* cut(): content-defined chunking of one buffer. */
#include "module.h"

#include "chunker.h"

/* 0, or -1 with an exception. */
static int append_length(PyObject *lengths, size_t length) {
    PyObject *number = PyLong_FromSize_t(length);
    if (!number)
        return -1;
    int appended = PyList_Append(lengths, number);
    Py_DECREF(number);
    return appended;
}

static PyObject *lengths_of(const fds_chunking *chunking, const uint8_t *data, size_t size) {
    PyObject *lengths = PyList_New(0);
    while (lengths && size > 0) {
        size_t length;
        /* Chunks are megabytes: a scan takes far longer than to let go of the GIL. */
        Py_BEGIN_ALLOW_THREADS;
        length = fds_chunk_length(chunking, data, size);
        Py_END_ALLOW_THREADS;
        data += length;
        size -= length;
        if (append_length(lengths, length) < 0 || PyErr_CheckSignals() < 0)
            Py_CLEAR(lengths);
    }
    return lengths;
}

PyObject *fds_module_cut(PyObject *module, PyObject *arguments) {
    (void)module;
    Py_buffer data;
    Py_ssize_t item, minimum, maximum;
    int bits;
    if (!PyArg_ParseTuple(arguments, "y*nnni:cut", &data, &item, &minimum, &maximum, &bits))
        return NULL;
    /* Negative numbers become huge ones, or more bits than there are. */
    fds_chunking chunking = {(size_t)minimum, (size_t)maximum, (size_t)item, (unsigned)bits};
    PyObject *lengths = NULL;
    if (maximum < 0 || !fds_chunking_is_valid(&chunking))
        PyErr_Format(PyExc_ValueError,
                     "cut needs 1 <= item <= minimum, 64 <= minimum <= maximum and 1 <= bits <= 64, got item %zd, "
                     "minimum %zd, maximum %zd, bits %d",
                     item, minimum, maximum, bits);
    else
        lengths = lengths_of(&chunking, data.buf, (size_t)data.len);
    PyBuffer_Release(&data);
    return lengths;
}
