/* Plane: the event loops, and what a fork does to them. */
#include "module.h"

#include <errno.h>
#include <time.h>

/* Between the two hooks of a fork other Python code runs and may hand over the GIL: who waits for the lock must not hold
 * the GIL, and who has the lock must not wait for the GIL. */
void fds_module_lock_plane(PlaneObject *plane) {
    while (pthread_mutex_trylock(&plane->lock) != 0) {
        Py_BEGIN_ALLOW_THREADS;
        nanosleep(&(struct timespec){.tv_nsec = 100000}, NULL);
        Py_END_ALLOW_THREADS;
    }
}

bool fds_module_plane_is_closed(PlaneObject *plane) {
    fds_module_lock_plane(plane);
    bool closed = !plane->plane;
    pthread_mutex_unlock(&plane->lock);
    return closed;
}

static PyObject *plane_new(PyTypeObject *type, PyObject *arguments, PyObject *keywords) {
    static char *names[] = {"loops", NULL};
    int loops;
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "i:Plane", names, &loops))
        return NULL;
    if (loops < 1 || loops > 64)
        return PyErr_Format(PyExc_ValueError, "loops must be 1 to 64, got %d", loops);
    allocfunc allocate = (allocfunc)PyType_GetSlot(type, Py_tp_alloc);
    PlaneObject *self = (PlaneObject *)allocate(type, 0);
    if (!self)
        return NULL;
    pthread_mutex_init(&self->lock, NULL);
    self->plane = fds_plane_new(loops);
    if (!self->plane) {
        PyErr_SetFromErrno(PyExc_OSError);
        Py_DECREF(self);
        return NULL;
    }
    return (PyObject *)self;
}

static PyObject *plane_close(PyObject *object, PyObject *ignored) {
    (void)ignored;
    PlaneObject *self = (PlaneObject *)object;
    Py_BEGIN_ALLOW_THREADS;
    pthread_mutex_lock(&self->lock);
    fds_plane *plane = self->plane;
    self->plane = NULL;
    pthread_mutex_unlock(&self->lock);
    if (plane)
        fds_plane_free(plane);
    Py_END_ALLOW_THREADS;
    Py_RETURN_NONE;
}

static void plane_dealloc(PyObject *object) {
    PlaneObject *self = (PlaneObject *)object;
    if (self->plane)
        fds_plane_free(self->plane); /* the loops never wait for the interpreter */
    pthread_mutex_destroy(&self->lock);
    fds_module_free_object(object);
}

static PyObject *plane_before_fork(PyObject *object, PyObject *ignored) {
    (void)ignored;
    PlaneObject *self = (PlaneObject *)object;
    fds_module_lock_plane(self);
    if (self->plane)
        fds_plane_before_fork(self->plane);
    Py_RETURN_NONE;
}

static PyObject *plane_after_fork_in_parent(PyObject *object, PyObject *ignored) {
    (void)ignored;
    PlaneObject *self = (PlaneObject *)object;
    if (self->plane)
        fds_plane_after_fork_in_parent(self->plane);
    pthread_mutex_unlock(&self->lock);
    Py_RETURN_NONE;
}

static PyObject *plane_after_fork_in_child(PyObject *object, PyObject *ignored) {
    (void)ignored;
    PlaneObject *self = (PlaneObject *)object;
    if (self->plane)
        fds_plane_after_fork_in_child(self->plane);
    self->plane = NULL; /* its memory stays behind: locks and sessions in it are the parent's */
    pthread_mutex_unlock(&self->lock);
    Py_RETURN_NONE;
}

static PyObject *plane_in_flight(PyObject *object, void *ignored) {
    (void)ignored;
    PlaneObject *self = (PlaneObject *)object;
    fds_module_lock_plane(self);
    int count = self->plane ? fds_plane_in_flight(self->plane) : 0;
    pthread_mutex_unlock(&self->lock);
    return PyLong_FromLong(count);
}

static PyObject *plane_closed(PyObject *object, void *ignored) {
    (void)ignored;
    return PyBool_FromLong(fds_module_plane_is_closed((PlaneObject *)object));
}

static PyObject *plane_repr(PyObject *object) {
    PlaneObject *self = (PlaneObject *)object;
    fds_module_lock_plane(self);
    int loops = self->plane ? fds_plane_loops(self->plane) : 0;
    int in_flight = self->plane ? fds_plane_in_flight(self->plane) : 0;
    pthread_mutex_unlock(&self->lock);
    if (!loops)
        return PyUnicode_FromString("<Plane closed>");
    return PyUnicode_FromFormat("<Plane %d loops | %d attempts in flight>", loops, in_flight);
}

static PyMethodDef plane_methods[] = {
    {"close", plane_close, METH_NOARGS,
     PyDoc_STR("close(): cancels what is in flight, which its queues then report, and joins the loops.")},
    {"before_fork", plane_before_fork, METH_NOARGS, PyDoc_STR("For os.register_at_fork: parks the loops.")},
    {"after_fork_in_parent", plane_after_fork_in_parent, METH_NOARGS, PyDoc_STR("For os.register_at_fork.")},
    {"after_fork_in_child", plane_after_fork_in_child, METH_NOARGS,
     PyDoc_STR("For os.register_at_fork: closes the inherited descriptors; this plane is closed from here on.")},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef plane_properties[] = {
    {"in_flight", plane_in_flight, NULL, PyDoc_STR("Attempts submitted and not yet finished."), NULL},
    {"closed", plane_closed, NULL, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot plane_slots[] = {
    {Py_tp_doc, "The native data plane: makes attempts of requests on `loops` event-loop threads."},
    {Py_tp_new, plane_new},
    {Py_tp_dealloc, plane_dealloc},
    {Py_tp_repr, plane_repr},
    {Py_tp_methods, plane_methods},
    {Py_tp_getset, plane_properties},
    {0, NULL},
};

static PyType_Spec plane_spec = {
    .name = "fastdatastore._native.Plane",
    .basicsize = sizeof(PlaneObject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = plane_slots,
};

int fds_module_add_plane(PyObject *module, module_state *state) {
    return fds_module_add_type(module, &plane_spec, &state->plane);
}
