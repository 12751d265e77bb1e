/* Queue: a waiter's end of the plane. */
#include "module_attempt.h"

#include "clock.h"

#include <errno.h>
#include <poll.h>

typedef struct {
    PyObject_HEAD
    PlaneObject *plane;
    fds_queue *queue;
    py_attempt *in_flight;
    Py_ssize_t in_flight_count;
} QueueObject;

static void unlink_attempt(QueueObject *queue, py_attempt *self) {
    if (self->previous)
        self->previous->next = self->next;
    else
        queue->in_flight = self->next;
    if (self->next)
        self->next->previous = self->previous;
    queue->in_flight_count--;
}

static module_state *state_of(QueueObject *self) {
    return PyType_GetModuleState(Py_TYPE((PyObject *)self));
}

static PyObject *queue_new(PyTypeObject *type, PyObject *arguments, PyObject *keywords) {
    static char *names[] = {"plane", NULL};
    module_state *state = PyType_GetModuleState(type);
    PyObject *plane;
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "O!:Queue", names, state->plane, &plane))
        return NULL;
    fds_queue *queue = fds_queue_new();
    if (!queue)
        return PyErr_SetFromErrno(PyExc_OSError);
    allocfunc allocate = (allocfunc)PyType_GetSlot(type, Py_tp_alloc);
    QueueObject *self = (QueueObject *)allocate(type, 0);
    if (!self) {
        fds_queue_release(queue);
        return NULL;
    }
    self->queue = queue;
    self->plane = (PlaneObject *)Py_NewRef(plane);
    return (PyObject *)self;
}

/* `orders` is a tuple: nobody changes it meanwhile. */
static PyObject *submit(QueueObject *self, PyObject *orders) {
    Py_ssize_t count = PyTuple_Size(orders);
    fds_attempt **attempts = PyMem_Malloc(((size_t)count + 1) * sizeof *attempts);
    if (!attempts)
        return PyErr_NoMemory();
    Py_ssize_t made = 0;
    for (; made < count; made++) {
        py_attempt *attempt = fds_module_read_order(state_of(self), PyTuple_GetItem(orders, made));
        if (!attempt)
            goto failed;
        attempt->attempt.queue = self->queue;
        attempts[made] = &attempt->attempt;
    }
    fds_module_lock_plane(self->plane);
    if (!self->plane->plane) {
        pthread_mutex_unlock(&self->plane->lock);
        PyErr_SetString(PyExc_RuntimeError, "the data plane is closed");
        goto failed;
    }
    for (Py_ssize_t i = 0; i < count; i++) {
        py_attempt *attempt = (py_attempt *)attempts[i];
        attempt->next = self->in_flight;
        if (self->in_flight)
            self->in_flight->previous = attempt;
        self->in_flight = attempt;
    }
    self->in_flight_count += count;
    fds_plane_submit(self->plane->plane, attempts, (size_t)count);
    pthread_mutex_unlock(&self->plane->lock);
    PyMem_Free(attempts);
    Py_RETURN_NONE;
failed:
    for (Py_ssize_t i = 0; i < made; i++)
        fds_module_free_attempt((py_attempt *)attempts[i]);
    PyMem_Free(attempts);
    return NULL;
}

static PyObject *queue_submit(PyObject *object, PyObject *orders) {
    if (!PyList_Check(orders))
        return PyErr_Format(PyExc_TypeError, "submit() takes a list of orders");
    PyObject *taken = PyList_AsTuple(orders), *result;
    if (!taken)
        return NULL;
    FDS_BEGIN_EXCLUSIVE(object);
    result = submit((QueueObject *)object, taken);
    FDS_END_EXCLUSIVE();
    Py_DECREF(taken);
    return result;
}

/* Waits for the wake descriptor; lets go of the GIL and answers signals. 1 readable, 0 timed out, -1 exception. */
static int wait_readable(QueueObject *self, double timeout) {
    int64_t deadline = timeout < 0 ? INT64_MAX : fds_now() + (int64_t)(timeout * FDS_SECOND);
    for (;;) {
        struct pollfd fd = {.fd = self->queue->wake.read_fd, .events = POLLIN};
        int64_t left = deadline == INT64_MAX ? -1 : (deadline - fds_now() + FDS_MS - 1) / FDS_MS;
        int milliseconds = deadline == INT64_MAX ? -1 : left < 0 ? 0 : left > 3600000 ? 3600000 : (int)left;
        int ready, error;
        Py_BEGIN_ALLOW_THREADS;
        ready = poll(&fd, 1, milliseconds);
        error = errno;
        Py_END_ALLOW_THREADS;
        if (ready > 0)
            return 1;
        if (ready < 0 && error != EINTR) {
            errno = error;
            PyErr_SetFromErrno(PyExc_OSError);
            return -1;
        }
        if (PyErr_CheckSignals() < 0)
            return -1;
        if (fds_now() >= deadline)
            return 0;
    }
}

static PyObject *take(QueueObject *self, double timeout, Py_ssize_t most) {
    PyObject *reports = PyList_New(0);
    if (!reports)
        return NULL;
    /* The poll is passed by when there are reports already. A signal is answered all the same. */
    int waited = PyErr_CheckSignals() < 0 ? -1 : 0;
    while (waited == 0) {
        fds_report_kind kind = FDS_REPORT_FINISHED;
        fds_attempt *attempt;
        while (PyList_Size(reports) < most && (attempt = fds_queue_take(self->queue, &kind))) {
            py_attempt *finished = (py_attempt *)attempt;
            finished->paused = kind == FDS_REPORT_PAUSED;
            PyObject *report = fds_module_make_report(state_of(self), finished, finished->paused);
            if (kind == FDS_REPORT_FINISHED) {
                unlink_attempt(self, finished);
                fds_module_free_attempt(finished);
            }
            if (!report || PyList_Append(reports, report) < 0) {
                Py_XDECREF(report);
                Py_DECREF(reports);
                return NULL;
            }
            Py_DECREF(report);
        }
        if (PyList_Size(reports) || !self->in_flight_count || timeout == 0)
            return reports;
        waited = wait_readable(self, timeout) - 1; /* 0: again, -1: timed out, -2: exception */
        if (waited == -1 && !PyErr_Occurred())
            return reports;
    }
    Py_DECREF(reports);
    return NULL;
}

static PyObject *queue_take(PyObject *object, PyObject *arguments) {
    double timeout = -1;
    Py_ssize_t most = 1024;
    PyObject *reports;
    if (!PyArg_ParseTuple(arguments, "|dn:take", &timeout, &most))
        return NULL;
    FDS_BEGIN_EXCLUSIVE(object);
    reports = take((QueueObject *)object, timeout, most);
    FDS_END_EXCLUSIVE();
    return reports;
}

static void notice(QueueObject *self) {
    fds_module_lock_plane(self->plane);
    if (self->plane->plane)
        fds_plane_notice(self->plane->plane);
    pthread_mutex_unlock(&self->plane->lock);
}

static PyObject *proceed(QueueObject *self, PyObject *tag, PyObject *target, int download_crc) {
    for (py_attempt *attempt = self->in_flight; attempt; attempt = attempt->next) {
        if (attempt->tag != tag || !attempt->paused)
            continue;
        if (fds_module_read_target(attempt, target) < 0)
            return NULL;
        attempt->paused = 0;
        attempt->attempt.download_crc = download_crc;
        atomic_store(&attempt->attempt.proceed, true);
        notice(self);
        Py_RETURN_NONE;
    }
    PyErr_SetString(PyExc_KeyError, "no paused attempt has this tag");
    return NULL;
}

static PyObject *queue_proceed(PyObject *object, PyObject *arguments) {
    PyObject *tag, *target, *crc, *result;
    int download_crc;
    if (!PyArg_ParseTuple(arguments, "OOO:proceed", &tag, &target, &crc) || fds_module_read_crc(crc, &download_crc) < 0)
        return NULL;
    FDS_BEGIN_EXCLUSIVE(object);
    result = proceed((QueueObject *)object, tag, target, download_crc);
    FDS_END_EXCLUSIVE();
    return result;
}

static PyObject *queue_cancel(PyObject *object, PyObject *arguments) {
    QueueObject *self = (QueueObject *)object;
    PyObject *tag = NULL;
    if (!PyArg_ParseTuple(arguments, "|O:cancel", &tag))
        return NULL;
    FDS_BEGIN_EXCLUSIVE(object);
    for (py_attempt *attempt = self->in_flight; attempt; attempt = attempt->next)
        if (!tag || attempt->tag == tag)
            atomic_store(&attempt->attempt.cancel, true);
    notice(self);
    FDS_END_EXCLUSIVE();
    Py_RETURN_NONE;
}

/* The waiter's own list: no loop adds to it or takes away. */
static PyObject *queue_progress(PyObject *object, PyObject *ignored) {
    (void)ignored;
    QueueObject *self = (QueueObject *)object;
    PyObject *all = PyList_New(0);
    for (py_attempt *attempt = self->in_flight; all && attempt; attempt = attempt->next) {
        PyObject *pair =
            Py_BuildValue("OK", attempt->tag, (unsigned long long)fds_attempt_moved(&attempt->attempt));
        if (!pair || PyList_Append(all, pair) < 0)
            Py_CLEAR(all);
        Py_XDECREF(pair);
    }
    return all;
}

static PyObject *queue_moved(PyObject *object, void *ignored) {
    (void)ignored;
    return PyLong_FromUnsignedLongLong(
        atomic_load_explicit(&((QueueObject *)object)->queue->moved, memory_order_relaxed));
}

static PyObject *queue_fileno(PyObject *object, PyObject *ignored) {
    (void)ignored;
    return PyLong_FromLong(((QueueObject *)object)->queue->wake.read_fd);
}

static Py_ssize_t queue_length(PyObject *object) {
    Py_ssize_t length;
    FDS_BEGIN_EXCLUSIVE(object);
    length = ((QueueObject *)object)->in_flight_count;
    FDS_END_EXCLUSIVE();
    return length;
}

static PyObject *queue_repr(PyObject *object) {
    return PyUnicode_FromFormat("<Queue of %zd attempts in flight>", queue_length(object));
}

/* Cancels what is in flight and waits for the loops' acknowledgement: until then they may write into the buffers.
 * After a fork there are no loops, and the buffers are left behind with the plane. */
static void queue_dealloc(PyObject *object) {
    QueueObject *self = (QueueObject *)object;
    for (py_attempt *attempt = self->in_flight; attempt; attempt = attempt->next)
        atomic_store(&attempt->attempt.cancel, true);
    if (self->in_flight)
        notice(self);
    while (self->in_flight) {
        fds_report_kind kind = FDS_REPORT_FINISHED;
        fds_attempt *attempt = fds_queue_take(self->queue, &kind);
        if (attempt && kind == FDS_REPORT_FINISHED) {
            unlink_attempt(self, (py_attempt *)attempt);
            fds_module_free_attempt((py_attempt *)attempt);
        } else if (!attempt) {
            if (fds_module_plane_is_closed(self->plane))
                break;
            struct pollfd fd = {.fd = self->queue->wake.read_fd, .events = POLLIN};
            Py_BEGIN_ALLOW_THREADS;
            poll(&fd, 1, 1000);
            Py_END_ALLOW_THREADS;
        }
    }
    fds_queue_release(self->queue);
    Py_XDECREF((PyObject *)self->plane);
    fds_module_free_object(object);
}

static PyMethodDef queue_methods[] = {
    {"submit", queue_submit, METH_O, PyDoc_STR("submit(orders): hands a list of orders to the plane.")},
    {"take", queue_take, METH_VARARGS,
     PyDoc_STR("take(timeout=-1.0, most=1024): a list of reports; empty after `timeout` seconds without one, or when "
               "nothing is in flight.")},
    {"proceed", queue_proceed, METH_VARARGS,
     PyDoc_STR("proceed(tag, target, download_crc): a paused body goes to `target`, one buffer or several, its CRC taken.")},
    {"cancel", queue_cancel, METH_VARARGS,
     PyDoc_STR("cancel([tag]): those with this tag, or all; each is still reported.")},
    {"progress", queue_progress, METH_NOARGS,
     PyDoc_STR("progress(): (tag, body bytes moved so far, either way) of each attempt in flight.")},
    {"fileno", queue_fileno, METH_NOARGS, PyDoc_STR("fileno(): readable while there are reports.")},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef queue_properties[] = {
    {"moved", queue_moved, NULL,
     PyDoc_STR("Body bytes that its attempts have moved so far, either way, whatever became of them. For any thread."),
     NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot queue_slots[] = {
    {Py_tp_doc, "A completion queue: one waiter submits, and takes its reports. len(): attempts in flight."},
    {Py_tp_new, queue_new},
    {Py_tp_dealloc, queue_dealloc},
    {Py_tp_repr, queue_repr},
    {Py_tp_methods, queue_methods},
    {Py_tp_getset, queue_properties},
    {Py_mp_length, queue_length},
    {0, NULL},
};

static PyType_Spec queue_spec = {
    .name = "fastdatastore._native.Queue",
    .basicsize = sizeof(QueueObject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = queue_slots,
};

int fds_module_add_queue(PyObject *module, module_state *state) {
    if (fds_module_add_report(module, state) < 0)
        return -1;
    return fds_module_add_type(module, &queue_spec, &state->queue);
}
