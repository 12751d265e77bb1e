#define _GNU_SOURCE
#include "module.h"

#include <string.h>
#include <sys/mman.h>

/* Under this size page faults are few, and letting go of the GIL costs more than the copy. */
#define LARGE (4 << 20)
#define HUGE_PAGE ((uintptr_t)2 << 20)

/* Fresh memory in pages of 4 KiB costs more than the copy itself (0.6 core-seconds per GB of page faults). */
static void advise_huge_pages(char *memory, size_t size) {
#ifdef MADV_HUGEPAGE
    uintptr_t first = ((uintptr_t)memory + HUGE_PAGE - 1) & ~(HUGE_PAGE - 1);
    uintptr_t end = ((uintptr_t)memory + size) & ~(HUGE_PAGE - 1);
    if (end > first)
        madvise((void *)first, end - first, MADV_HUGEPAGE);
#else
    (void)memory;
    (void)size;
#endif
}

PyObject *fds_module_to_bytes(PyObject *module, PyObject *data) {
    (void)module;
    Py_buffer view;
    if (PyObject_GetBuffer(data, &view, PyBUF_SIMPLE) < 0)
        return NULL;
    PyObject *bytes = NULL;
    if (view.len < LARGE) {
        bytes = PyBytes_FromStringAndSize(view.buf, view.len);
    } else if ((bytes = PyBytes_FromStringAndSize(NULL, view.len))) {
        char *memory = PyBytes_AsString(bytes); /* nobody else has seen it yet */
        Py_BEGIN_ALLOW_THREADS;
        advise_huge_pages(memory, (size_t)view.len);
        memcpy(memory, view.buf, (size_t)view.len);
        Py_END_ALLOW_THREADS;
    }
    PyBuffer_Release(&view);
    return bytes;
}
