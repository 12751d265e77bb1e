/* The Python module: the module*.c files are the only ones that know Python. CPython's stable ABI (3.11). */
#ifndef FDS_MODULE_H
#define FDS_MODULE_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "plane.h"

typedef struct {
    PyTypeObject *plane;
    PyTypeObject *queue;
    PyTypeObject *endpoint;
    PyTypeObject *credentials;
    PyTypeObject *buffer_pool;
    PyTypeObject *region;
    PyTypeObject *report; /* a struct sequence */
} module_state;

typedef struct {
    PyObject_HEAD
    fds_endpoint *endpoint;
} EndpointObject;

typedef struct {
    PyObject_HEAD
    fds_credentials *credentials;
} CredentialsObject;

typedef struct {
    PyObject_HEAD
    fds_plane *plane;     /* NULL: closed, or left behind by a fork */
    pthread_mutex_t lock; /* nobody closes the plane while somebody submits; a fork holds it from before to after */
} PlaneObject;

/* Takes its lock; to be called with the GIL. */
void fds_module_lock_plane(PlaneObject *plane);
/* Whether it is closed, or left behind by a fork. */
bool fds_module_plane_is_closed(PlaneObject *plane);

/* What the GIL does elsewhere, a lock of the object does where there is none: let go of at the same places. */
#ifdef Py_GIL_DISABLED
#define FDS_BEGIN_EXCLUSIVE(object) Py_BEGIN_CRITICAL_SECTION(object)
#define FDS_END_EXCLUSIVE() Py_END_CRITICAL_SECTION()
#else
#define FDS_BEGIN_EXCLUSIVE(object) {
#define FDS_END_EXCLUSIVE() }
#endif

extern struct PyModuleDef fds_module;

/* Each adds its types to the module; 0, or -1 with an exception. */
int fds_module_add_endpoint(PyObject *module, module_state *state);
int fds_module_add_plane(PyObject *module, module_state *state);
int fds_module_add_queue(PyObject *module, module_state *state);
int fds_module_add_buffers(PyObject *module, module_state *state);

/* Functions of the module that have a file of their own. */
PyObject *fds_module_cut(PyObject *module, PyObject *arguments);
PyObject *fds_module_to_bytes(PyObject *module, PyObject *data);
PyObject *fds_module_shuffle(PyObject *module, PyObject *arguments);
PyObject *fds_module_unshuffle(PyObject *module, PyObject *arguments);

/* Makes a heap type from `spec`, adds it to the module, keeps a reference in *slot. */
int fds_module_add_type(PyObject *module, PyType_Spec *spec, PyTypeObject **slot);
/* Frees an instance and lets go of its type. */
void fds_module_free_object(PyObject *self);

#endif
