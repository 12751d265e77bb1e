#include "module.h"

#include "uri.h"

static module_state *state_of(PyObject *module) {
    return PyModule_GetState(module);
}

int fds_module_add_type(PyObject *module, PyType_Spec *spec, PyTypeObject **slot) {
    PyObject *type = PyType_FromModuleAndSpec(module, spec, NULL);
    if (!type)
        return -1;
    *slot = (PyTypeObject *)type;
    return PyModule_AddType(module, (PyTypeObject *)type);
}

void fds_module_free_object(PyObject *self) {
    PyTypeObject *type = Py_TYPE(self);
    freefunc release = (freefunc)PyType_GetSlot(type, Py_tp_free);
    release(self);
    Py_DECREF(type);
}

/* ---- functions ---- */

/* Under this size letting go of the GIL costs more than the checksum (about 10 µs at 5 GB/s, the slowest kernel's). */
#define WITHOUT_GIL_MIN (64 * 1024)

static PyObject *crc(PyObject *module, PyObject *arguments) {
    (void)module;
    int algorithm;
    unsigned long long before = 0;
    Py_buffer data;
    if (!PyArg_ParseTuple(arguments, "iy*|K:crc", &algorithm, &data, &before))
        return NULL;
    if (algorithm < 0 || algorithm >= FDS_CRC_COUNT) {
        PyBuffer_Release(&data);
        return PyErr_Format(PyExc_ValueError, "algorithm must be CRC32, CRC32C or CRC64NVME, got %d", algorithm);
    }
    uint64_t value;
    if (data.len < WITHOUT_GIL_MIN) {
        value = fds_crc_update((fds_crc_algorithm)algorithm, before, data.buf, (size_t)data.len);
    } else {
        Py_BEGIN_ALLOW_THREADS;
        value = fds_crc_update((fds_crc_algorithm)algorithm, before, data.buf, (size_t)data.len);
        Py_END_ALLOW_THREADS;
    }
    PyBuffer_Release(&data);
    return PyLong_FromUnsignedLongLong(value);
}

static PyObject *crc_combine(PyObject *module, PyObject *arguments) {
    (void)module;
    int algorithm;
    unsigned long long a, b, length;
    if (!PyArg_ParseTuple(arguments, "iKKK:crc_combine", &algorithm, &a, &b, &length))
        return NULL;
    if (algorithm < 0 || algorithm >= FDS_CRC_COUNT)
        return PyErr_Format(PyExc_ValueError, "algorithm must be CRC32, CRC32C or CRC64NVME, got %d", algorithm);
    return PyLong_FromUnsignedLongLong(fds_crc_combine((fds_crc_algorithm)algorithm, a, b, length));
}

static PyObject *crc_kernel(PyObject *module, PyObject *arguments) {
    (void)module;
    int algorithm;
    if (!PyArg_ParseTuple(arguments, "i:crc_kernel", &algorithm))
        return NULL;
    if (algorithm < 0 || algorithm >= FDS_CRC_COUNT)
        return PyErr_Format(PyExc_ValueError, "algorithm must be CRC32, CRC32C or CRC64NVME, got %d", algorithm);
    return PyUnicode_FromString(fds_crc_kernel((fds_crc_algorithm)algorithm));
}

static PyObject *uri_encode(PyObject *module, PyObject *arguments) {
    (void)module;
    const char *text;
    Py_ssize_t size;
    int keep_slash = 0;
    if (!PyArg_ParseTuple(arguments, "s#|p:uri_encode", &text, &size, &keep_slash))
        return NULL;
    char *out = PyMem_Malloc(FDS_URI_ENCODED_MAX((size_t)size) + 1);
    if (!out)
        return PyErr_NoMemory();
    size_t length = fds_uri_encode(out, text, (size_t)size, keep_slash);
    PyObject *encoded = PyUnicode_FromStringAndSize(out, (Py_ssize_t)length);
    PyMem_Free(out);
    return encoded;
}

static PyObject *tls_library(PyObject *module, PyObject *ignored) {
    (void)module;
    (void)ignored;
    return PyUnicode_FromString(fds_tls_library());
}

static PyMethodDef functions[] = {
    {"crc", crc, METH_VARARGS, PyDoc_STR("crc(algorithm, data, before=0): the CRC of data after bytes of CRC `before`.")},
    {"crc_combine", crc_combine, METH_VARARGS,
     PyDoc_STR("crc_combine(algorithm, a, b, length_b): the CRC of a followed by b.")},
    {"crc_kernel", crc_kernel, METH_VARARGS, PyDoc_STR("crc_kernel(algorithm): name of the kernel in use.")},
    {"uri_encode", uri_encode, METH_VARARGS,
     PyDoc_STR("uri_encode(text, keep_slash=False): percent-encoding as SigV4 wants it.")},
    {"cut", fds_module_cut, METH_VARARGS,
     PyDoc_STR("cut(data, item, minimum, maximum, bits): lengths of its content-defined chunks.")},
    {"to_bytes", fds_module_to_bytes, METH_O, PyDoc_STR("to_bytes(data): bytes(data), in huge pages if it is large.")},
    {"shuffle", fds_module_shuffle, METH_VARARGS,
     PyDoc_STR("shuffle(source, target, item): the first bytes of all items, then the second ones, and so on.")},
    {"unshuffle", fds_module_unshuffle, METH_VARARGS,
     PyDoc_STR("unshuffle(source, target, item): undoes shuffle().")},
    {"tls_library", tls_library, METH_NOARGS, PyDoc_STR("tls_library(): name and version of the TLS library.")},
    {NULL, NULL, 0, NULL},
};

/* ---- the module ---- */

static const struct {
    const char *name;
    int value;
} constants[] = {
    {"CRC32", FDS_CRC32},
    {"CRC32C", FDS_CRC32C},
    {"CRC64NVME", FDS_CRC64NVME},
    {"NO_CRC", FDS_NO_CRC},
    {"DONE", FDS_DONE},
    {"CUT", FDS_CUT},
    {"CANCELLED", FDS_CANCELLED},
    {"RESOLVE_FAILED", FDS_RESOLVE_FAILED},
    {"CONNECT_FAILED", FDS_CONNECT_FAILED},
    {"TLS_FAILED", FDS_TLS_FAILED},
    {"DISCONNECTED", FDS_DISCONNECTED},
    {"STALLED", FDS_STALLED},
    {"PROTOCOL_ERROR", FDS_PROTOCOL_ERROR},
    {"NO_MEMORY", FDS_NO_MEMORY},
};

static int execute(PyObject *module) {
    module_state *state = state_of(module);
    for (size_t i = 0; i < sizeof constants / sizeof *constants; i++)
        if (PyModule_AddIntConstant(module, constants[i].name, constants[i].value) < 0)
            return -1;
    if (fds_module_add_endpoint(module, state) < 0 || fds_module_add_plane(module, state) < 0 ||
        fds_module_add_queue(module, state) < 0 || fds_module_add_buffers(module, state) < 0)
        return -1;
    return 0;
}

static int traverse(PyObject *module, visitproc visit, void *arg) {
    module_state *state = state_of(module);
    Py_VISIT(state->plane);
    Py_VISIT(state->queue);
    Py_VISIT(state->endpoint);
    Py_VISIT(state->credentials);
    Py_VISIT(state->buffer_pool);
    Py_VISIT(state->region);
    Py_VISIT(state->report);
    return 0;
}

static int clear(PyObject *module) {
    module_state *state = state_of(module);
    Py_CLEAR(state->plane);
    Py_CLEAR(state->queue);
    Py_CLEAR(state->endpoint);
    Py_CLEAR(state->credentials);
    Py_CLEAR(state->buffer_pool);
    Py_CLEAR(state->region);
    Py_CLEAR(state->report);
    return 0;
}

static void free_module(void *module) {
    clear(module);
}

static PyModuleDef_Slot slots[] = {
    {Py_mod_exec, execute},
#ifdef Py_GIL_DISABLED
    {Py_mod_gil, Py_MOD_GIL_NOT_USED},
#endif
    {0, NULL},
};

struct PyModuleDef fds_module = {
    PyModuleDef_HEAD_INIT,
    .m_name = "fastdatastore._native",
    .m_doc = PyDoc_STR("The native data plane."),
    .m_size = sizeof(module_state),
    .m_methods = functions,
    .m_slots = slots,
    .m_traverse = traverse,
    .m_clear = clear,
    .m_free = free_module,
};

PyMODINIT_FUNC PyInit__native(void) {
    return PyModuleDef_Init(&fds_module);
}
