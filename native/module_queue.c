/* Queue: a waiter's end of the plane. Turns orders (tuples) into attempts and finished attempts into reports. */
#include "module.h"

#include "clock.h"
#include "request.h"

#include <errno.h>
#include <poll.h>
#include <string.h>

/* An attempt with the Python objects that its order borrows from. One allocation; the arrays follow. */
typedef struct py_attempt py_attempt;
struct py_attempt {
    fds_attempt attempt; /* first: an fds_attempt from the queue is one of these */
    py_attempt *previous, *next;
    PyObject *order;     /* keeps every string, the endpoint and the credentials alive */
    PyObject *tag;       /* borrowed from the order */
    Py_buffer *buffers;
    size_t buffer_count;
    int paused;          /* its head has been taken, its target is awaited */
    fds_span *spans;     /* of the body, then of the target; one more for a target that is set on proceeding */
};

typedef struct {
    PyObject_HEAD
    PlaneObject *plane;
    fds_queue *queue;
    py_attempt *in_flight;
    Py_ssize_t in_flight_count;
} QueueObject;

/* ---- an order becomes an attempt ---- */

enum {
    ORDER_TAG,
    ORDER_ENDPOINT,
    ORDER_CREDENTIALS,
    ORDER_METHOD,
    ORDER_PATH,
    ORDER_QUERY,
    ORDER_HEADERS,
    ORDER_BODY,
    ORDER_TARGET,
    ORDER_UPLOAD_CRC,
    ORDER_DOWNLOAD_CRC,
    ORDER_SIGN_PAYLOAD,
    ORDER_PAUSE_ABOVE,
    ORDER_CONTENT_MAX,
    ORDER_STALL_TIMEOUT,
    ORDER_CLOCK_OFFSET,
    ORDER_SIZE,
};

static int read_text(PyObject *object, fds_str *text, const char *what) {
    Py_ssize_t size;
    if (!PyUnicode_Check(object)) {
        PyErr_Format(PyExc_TypeError, "%s must be a str", what);
        return -1;
    }
    const char *data = PyUnicode_AsUTF8AndSize(object, &size);
    if (!data)
        return -1;
    *text = (fds_str){data, (size_t)size};
    return 0;
}

/* A header that breaks the line could smuggle in a second one. */
static int refuse_control(const fds_str *text) {
    for (size_t i = 0; i < text->size; i++)
        if (text->data[i] == '\r' || text->data[i] == '\n' || text->data[i] == '\0') {
            PyErr_SetString(PyExc_ValueError, "a header must not contain a line break or NUL");
            return -1;
        }
    return 0;
}

static int read_pairs(PyObject *pairs, fds_pair *out, int headers) {
    Py_ssize_t count = PyTuple_Size(pairs);
    for (Py_ssize_t i = 0; i < count; i++) {
        PyObject *pair = PyTuple_GetItem(pairs, i);
        if (!PyTuple_Check(pair) || PyTuple_Size(pair) != 2) {
            PyErr_SetString(PyExc_TypeError, "query and headers must be tuples of (name, value)");
            return -1;
        }
        if (read_text(PyTuple_GetItem(pair, 0), &out[i].name, "a name") < 0 ||
            read_text(PyTuple_GetItem(pair, 1), &out[i].value, "a value") < 0)
            return -1;
        if (headers && (refuse_control(&out[i].name) < 0 || refuse_control(&out[i].value) < 0))
            return -1;
    }
    return 0;
}

/* The number of pairs or buffers in None, a tuple, or (buffers only) a single object. */
static Py_ssize_t count_of(PyObject *object) {
    if (Py_IsNone(object))
        return 0;
    return PyTuple_Check(object) ? PyTuple_Size(object) : 1;
}

static int read_buffer(py_attempt *self, PyObject *object, int flags) {
    Py_buffer *buffer = &self->buffers[self->buffer_count];
    if (PyObject_GetBuffer(object, buffer, flags) < 0)
        return -1;
    self->spans[self->buffer_count] = (fds_span){buffer->buf, (size_t)buffer->len};
    self->buffer_count++;
    return 0;
}

static int read_buffers(py_attempt *self, PyObject *object, int flags) {
    if (Py_IsNone(object))
        return 0;
    if (!PyTuple_Check(object))
        return read_buffer(self, object, flags);
    for (Py_ssize_t i = 0; i < PyTuple_Size(object); i++)
        if (read_buffer(self, PyTuple_GetItem(object, i), flags) < 0)
            return -1;
    return 0;
}

static void free_attempt(py_attempt *self) {
    for (size_t i = 0; i < self->buffer_count; i++)
        PyBuffer_Release(&self->buffers[i]);
    fds_attempt_clear(&self->attempt);
    Py_XDECREF(self->order);
    PyMem_Free(self);
}

static int read_crc(PyObject *object, int *crc) {
    long value = PyLong_AsLong(object);
    if (value == -1 && PyErr_Occurred())
        return -1;
    if (value < FDS_NO_CRC || value >= FDS_CRC_COUNT) {
        PyErr_Format(PyExc_ValueError, "not a CRC algorithm: %ld", value);
        return -1;
    }
    *crc = (int)value;
    return 0;
}

static int read_scalars(fds_attempt *attempt, PyObject *order) {
    if (read_crc(PyTuple_GetItem(order, ORDER_UPLOAD_CRC), &attempt->upload_crc) < 0 ||
        read_crc(PyTuple_GetItem(order, ORDER_DOWNLOAD_CRC), &attempt->download_crc) < 0)
        return -1;
    int sign_payload = PyObject_IsTrue(PyTuple_GetItem(order, ORDER_SIGN_PAYLOAD));
    attempt->payload = sign_payload ? FDS_PAYLOAD_SIGNED : FDS_PAYLOAD_UNSIGNED;
    attempt->pause_above = PyLong_AsUnsignedLongLong(PyTuple_GetItem(order, ORDER_PAUSE_ABOVE));
    attempt->content_max = PyLong_AsSize_t(PyTuple_GetItem(order, ORDER_CONTENT_MAX));
    attempt->stall_timeout = (int64_t)(PyFloat_AsDouble(PyTuple_GetItem(order, ORDER_STALL_TIMEOUT)) * FDS_SECOND);
    attempt->clock_offset = PyLong_AsLongLong(PyTuple_GetItem(order, ORDER_CLOCK_OFFSET));
    return PyErr_Occurred() ? -1 : 0;
}

static py_attempt *read_order(module_state *state, PyObject *order) {
    if (!PyTuple_Check(order) || PyTuple_Size(order) != ORDER_SIZE)
        return (void *)PyErr_Format(PyExc_TypeError, "an order is a tuple of %d items", ORDER_SIZE);
    PyObject *endpoint = PyTuple_GetItem(order, ORDER_ENDPOINT);
    PyObject *credentials = PyTuple_GetItem(order, ORDER_CREDENTIALS);
    PyObject *query = PyTuple_GetItem(order, ORDER_QUERY), *headers = PyTuple_GetItem(order, ORDER_HEADERS);
    PyObject *body = PyTuple_GetItem(order, ORDER_BODY), *target = PyTuple_GetItem(order, ORDER_TARGET);
    if (!Py_IS_TYPE(endpoint, state->endpoint) ||
        !(Py_IsNone(credentials) || Py_IS_TYPE(credentials, state->credentials)) || !PyTuple_Check(query) ||
        !PyTuple_Check(headers)) {
        PyErr_SetString(PyExc_TypeError, "an order has an Endpoint, Credentials or None, and tuples of pairs");
        return NULL;
    }
    size_t query_count = (size_t)PyTuple_Size(query), header_count = (size_t)PyTuple_Size(headers);
    if (header_count > FDS_REQUEST_HEADERS_MAX)
        return (void *)PyErr_Format(PyExc_ValueError, "a request has at most %d headers, got %zu",
                                    FDS_REQUEST_HEADERS_MAX, header_count);
    size_t body_count = (size_t)count_of(body), target_count = (size_t)count_of(target);
    size_t buffers = body_count + target_count + 1;
    py_attempt *self = PyMem_Calloc(1, sizeof *self + (query_count + header_count) * sizeof(fds_pair) +
                                           buffers * (sizeof(Py_buffer) + sizeof(fds_span)));
    if (!self)
        return (void *)PyErr_NoMemory();
    fds_attempt *attempt = &self->attempt;
    fds_attempt_init(attempt);
    fds_pair *pairs = (fds_pair *)(self + 1);
    self->buffers = (Py_buffer *)(pairs + query_count + header_count);
    self->spans = (fds_span *)(self->buffers + buffers);
    self->order = Py_NewRef(order);
    self->tag = PyTuple_GetItem(order, ORDER_TAG);
    attempt->endpoint = ((EndpointObject *)endpoint)->endpoint;
    attempt->credentials = Py_IsNone(credentials) ? NULL : ((CredentialsObject *)credentials)->credentials;
    attempt->query = pairs;
    attempt->query_count = query_count;
    attempt->headers = pairs + query_count;
    attempt->header_count = header_count;
    if (read_text(PyTuple_GetItem(order, ORDER_METHOD), &attempt->method, "method") < 0 ||
        read_text(PyTuple_GetItem(order, ORDER_PATH), &attempt->path, "path") < 0 ||
        read_pairs(query, pairs, 0) < 0 || read_pairs(headers, pairs + query_count, 1) < 0 ||
        read_buffers(self, body, PyBUF_SIMPLE) < 0 || read_buffers(self, target, PyBUF_WRITABLE) < 0 ||
        read_scalars(attempt, order) < 0) {
        free_attempt(self);
        return NULL;
    }
    attempt->body = self->spans;
    attempt->body_count = body_count;
    attempt->target = self->spans + body_count;
    attempt->target_count = target_count;
    return self;
}

/* ---- a finished attempt becomes a report ---- */

static PyStructSequence_Field report_fields[] = {
    {"tag", "as ordered"},
    {"paused", "True: the head is there and the body waits for proceed()"},
    {"outcome", "DONE, CUT, CANCELLED, RESOLVE_FAILED, …"},
    {"status", "HTTP status; 0 when no response head arrived"},
    {"headers", "response headers by lower-case name"},
    {"content_length", "as the head says; None without one"},
    {"content", "the body as bytes, when no target took it"},
    {"sent", "body bytes handed to the kernel"},
    {"landed", "body bytes received"},
    {"crc", "of the body, as ordered"},
    {"reused", "the connection had served a request before"},
    {"waited", "seconds until a connection was ready"},
    {"first_byte", "seconds from there to the response head; 0.0 without one"},
    {"took", "seconds from submission to the end"},
    {"peer", "address:port"},
    {"why", "a sentence when the outcome is neither DONE nor CUT"},
    {NULL, NULL},
};

static PyStructSequence_Desc report_description = {
    .name = "fastdatastore._native.Report",
    .doc = "What became of one attempt.",
    .fields = report_fields,
    .n_in_sequence = 16,
};

static PyObject *headers_of(const fds_attempt *attempt) {
    PyObject *headers = PyDict_New();
    if (!headers)
        return NULL;
    for (size_t i = 0; i < attempt->response_header_count; i++) {
        const fds_header *header = &attempt->response_headers[i];
        PyObject *name = PyUnicode_DecodeLatin1(attempt->head + header->name, header->name_size, NULL);
        PyObject *value = PyUnicode_DecodeLatin1(attempt->head + header->value, header->value_size, NULL);
        if (name && value) {
            PyObject *before = PyDict_GetItemWithError(headers, name);
            if (before) { /* RFC 9110, 5.3: equal names read as one list */
                PyObject *joined = PyUnicode_FromFormat("%U, %U", before, value);
                Py_DECREF(value);
                value = joined;
            }
        }
        if (!name || !value || PyDict_SetItem(headers, name, value) < 0) {
            Py_XDECREF(name);
            Py_XDECREF(value);
            Py_DECREF(headers);
            return NULL;
        }
        Py_DECREF(name);
        Py_DECREF(value);
    }
    return headers;
}

static PyObject *seconds(int64_t from, int64_t to) {
    return PyFloat_FromDouble(from && to > from ? (double)(to - from) / FDS_SECOND : 0.0);
}

static PyObject *make_report(module_state *state, const py_attempt *self, int paused) {
    const fds_attempt *attempt = &self->attempt;
    PyObject *report = PyStructSequence_New(state->report);
    if (!report)
        return NULL;
    const char *content = attempt->content.size ? attempt->content.data : "";
    /* A paused attempt may end under our hands, by close(): what its end writes is not read yet. */
    const char *why = paused ? "" : attempt->why;
    PyObject *items[] = {
        Py_NewRef(self->tag),
        PyBool_FromLong(paused),
        PyLong_FromLong(paused ? FDS_DONE : attempt->outcome),
        PyLong_FromLong(attempt->status),
        headers_of(attempt),
        attempt->has_content_length ? PyLong_FromUnsignedLongLong(attempt->content_length) : Py_NewRef(Py_None),
        PyBytes_FromStringAndSize(content, (Py_ssize_t)attempt->content.size),
        PyLong_FromUnsignedLongLong(attempt->sent),
        PyLong_FromUnsignedLongLong(attempt->landed),
        PyLong_FromUnsignedLongLong(attempt->crc),
        PyBool_FromLong(attempt->reused),
        seconds(attempt->submitted, attempt->started),
        seconds(attempt->started, attempt->first_byte),
        seconds(attempt->submitted, paused ? attempt->first_byte : attempt->finished),
        PyUnicode_FromString(attempt->peer),
        PyUnicode_DecodeUTF8(why, (Py_ssize_t)strlen(why), "replace"),
    };
    int failed = 0;
    for (int i = 0; i < (int)(sizeof items / sizeof *items); i++) {
        failed |= items[i] == NULL;
        PyStructSequence_SetItem(report, i, items[i]);
    }
    if (failed) {
        Py_DECREF(report);
        return NULL;
    }
    return report;
}

static void unlink_attempt(QueueObject *queue, py_attempt *self) {
    if (self->previous)
        self->previous->next = self->next;
    else
        queue->in_flight = self->next;
    if (self->next)
        self->next->previous = self->previous;
    queue->in_flight_count--;
}

/* ---- the type ---- */

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

static PyObject *queue_submit(PyObject *object, PyObject *orders) {
    QueueObject *self = (QueueObject *)object;
    if (!PyList_Check(orders))
        return PyErr_Format(PyExc_TypeError, "submit() takes a list of orders");
    Py_ssize_t count = PyList_Size(orders);
    fds_attempt **attempts = PyMem_Malloc(((size_t)count + 1) * sizeof *attempts);
    if (!attempts)
        return PyErr_NoMemory();
    Py_ssize_t made = 0;
    for (; made < count; made++) {
        py_attempt *attempt = read_order(state_of(self), PyList_GetItem(orders, made));
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
        free_attempt((py_attempt *)attempts[i]);
    PyMem_Free(attempts);
    return NULL;
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

static PyObject *queue_take(PyObject *object, PyObject *arguments) {
    QueueObject *self = (QueueObject *)object;
    double timeout = -1;
    Py_ssize_t most = 1024;
    if (!PyArg_ParseTuple(arguments, "|dn:take", &timeout, &most))
        return NULL;
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
            PyObject *report = make_report(state_of(self), finished, finished->paused);
            if (kind == FDS_REPORT_FINISHED) {
                unlink_attempt(self, finished);
                free_attempt(finished);
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

static void notice(QueueObject *self) {
    fds_module_lock_plane(self->plane);
    if (self->plane->plane)
        fds_plane_notice(self->plane->plane);
    pthread_mutex_unlock(&self->plane->lock);
}

static PyObject *queue_proceed(PyObject *object, PyObject *arguments) {
    QueueObject *self = (QueueObject *)object;
    PyObject *tag, *target, *crc;
    int download_crc;
    if (!PyArg_ParseTuple(arguments, "OOO:proceed", &tag, &target, &crc) || read_crc(crc, &download_crc) < 0)
        return NULL;
    for (py_attempt *attempt = self->in_flight; attempt; attempt = attempt->next) {
        if (attempt->tag != tag || !attempt->paused)
            continue;
        size_t at = attempt->buffer_count;
        if (read_buffer(attempt, target, PyBUF_WRITABLE) < 0)
            return NULL;
        attempt->paused = 0;
        attempt->attempt.target = &attempt->spans[at];
        attempt->attempt.target_count = 1;
        attempt->attempt.download_crc = download_crc;
        atomic_store(&attempt->attempt.proceed, true);
        notice(self);
        Py_RETURN_NONE;
    }
    PyErr_SetString(PyExc_KeyError, "no paused attempt has this tag");
    return NULL;
}

static PyObject *queue_cancel(PyObject *object, PyObject *arguments) {
    QueueObject *self = (QueueObject *)object;
    PyObject *tag = NULL;
    if (!PyArg_ParseTuple(arguments, "|O:cancel", &tag))
        return NULL;
    for (py_attempt *attempt = self->in_flight; attempt; attempt = attempt->next)
        if (!tag || attempt->tag == tag)
            atomic_store(&attempt->attempt.cancel, true);
    notice(self);
    Py_RETURN_NONE;
}

static PyObject *queue_fileno(PyObject *object, PyObject *ignored) {
    (void)ignored;
    return PyLong_FromLong(((QueueObject *)object)->queue->wake.read_fd);
}

static Py_ssize_t queue_length(PyObject *object) {
    return ((QueueObject *)object)->in_flight_count;
}

static PyObject *queue_repr(PyObject *object) {
    return PyUnicode_FromFormat("<Queue of %zd attempts in flight>", ((QueueObject *)object)->in_flight_count);
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
            free_attempt((py_attempt *)attempt);
        } else if (!attempt) {
            if (!self->plane->plane)
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
    {"proceed", queue_proceed, METH_VARARGS, PyDoc_STR("proceed(tag, target, download_crc): a paused body goes to `target`, its CRC taken.")},
    {"cancel", queue_cancel, METH_VARARGS,
     PyDoc_STR("cancel([tag]): those with this tag, or all; each is still reported.")},
    {"fileno", queue_fileno, METH_NOARGS, PyDoc_STR("fileno(): readable while there are reports.")},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot queue_slots[] = {
    {Py_tp_doc, "A completion queue: one waiter submits, and takes its reports. len(): attempts in flight."},
    {Py_tp_new, queue_new},
    {Py_tp_dealloc, queue_dealloc},
    {Py_tp_repr, queue_repr},
    {Py_tp_methods, queue_methods},
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
    state->report = PyStructSequence_NewType(&report_description);
    if (!state->report || PyModule_AddObjectRef(module, "Report", (PyObject *)state->report) < 0)
        return -1;
    return fds_module_add_type(module, &queue_spec, &state->queue);
}
