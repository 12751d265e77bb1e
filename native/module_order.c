/* An order (a tuple) becomes an attempt. */
#include "module_attempt.h"

#include "clock.h"
#include "request.h"

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

static int read_buffer(py_buffers *held, PyObject *object, int flags) {
    Py_buffer *buffer = &held->buffers[held->count];
    if (PyObject_GetBuffer(object, buffer, flags) < 0)
        return -1;
    held->spans[held->count] = (fds_span){buffer->buf, (size_t)buffer->len};
    held->count++;
    return 0;
}

static int read_buffers(py_buffers *held, PyObject *object, int flags) {
    if (Py_IsNone(object))
        return 0;
    if (!PyTuple_Check(object))
        return read_buffer(held, object, flags);
    for (Py_ssize_t i = 0; i < PyTuple_Size(object); i++)
        if (read_buffer(held, PyTuple_GetItem(object, i), flags) < 0)
            return -1;
    return 0;
}

static void release_buffers(py_buffers *held) {
    for (size_t i = 0; i < held->count; i++)
        PyBuffer_Release(&held->buffers[i]);
    held->count = 0;
}

int fds_module_read_target(py_attempt *self, PyObject *object) {
    size_t count = (size_t)count_of(object);
    if (!count) {
        PyErr_SetString(PyExc_ValueError, "a paused body needs a buffer to go to");
        return -1;
    }
    py_buffers *later = &self->later;
    later->buffers = PyMem_Calloc(count, sizeof(Py_buffer) + sizeof(fds_span));
    if (!later->buffers) {
        PyErr_NoMemory();
        return -1;
    }
    later->spans = (fds_span *)(later->buffers + count);
    if (read_buffers(later, object, PyBUF_WRITABLE) < 0) {
        release_buffers(later);
        PyMem_Free(later->buffers);
        later->buffers = NULL;
        return -1;
    }
    self->attempt.target = later->spans;
    self->attempt.target_count = count;
    return 0;
}

void fds_module_free_attempt(py_attempt *self) {
    release_buffers(&self->given);
    release_buffers(&self->later);
    PyMem_Free(self->later.buffers);
    fds_attempt_clear(&self->attempt);
    Py_XDECREF(self->order);
    PyMem_Free(self);
}

int fds_module_read_crc(PyObject *object, int *crc) {
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
    if (fds_module_read_crc(PyTuple_GetItem(order, ORDER_UPLOAD_CRC), &attempt->upload_crc) < 0 ||
        fds_module_read_crc(PyTuple_GetItem(order, ORDER_DOWNLOAD_CRC), &attempt->download_crc) < 0)
        return -1;
    int sign_payload = PyObject_IsTrue(PyTuple_GetItem(order, ORDER_SIGN_PAYLOAD));
    attempt->payload = sign_payload ? FDS_PAYLOAD_SIGNED : FDS_PAYLOAD_UNSIGNED;
    attempt->pause_above = PyLong_AsUnsignedLongLong(PyTuple_GetItem(order, ORDER_PAUSE_ABOVE));
    attempt->content_max = PyLong_AsSize_t(PyTuple_GetItem(order, ORDER_CONTENT_MAX));
    attempt->stall_timeout = (int64_t)(PyFloat_AsDouble(PyTuple_GetItem(order, ORDER_STALL_TIMEOUT)) * FDS_SECOND);
    attempt->clock_offset = PyLong_AsLongLong(PyTuple_GetItem(order, ORDER_CLOCK_OFFSET));
    return PyErr_Occurred() ? -1 : 0;
}

py_attempt *fds_module_read_order(module_state *state, PyObject *order) {
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
    size_t buffers = body_count + target_count;
    py_attempt *self = PyMem_Calloc(1, sizeof *self + (query_count + header_count) * sizeof(fds_pair) +
                                           buffers * (sizeof(Py_buffer) + sizeof(fds_span)));
    if (!self)
        return (void *)PyErr_NoMemory();
    fds_attempt *attempt = &self->attempt;
    fds_attempt_init(attempt);
    fds_pair *pairs = (fds_pair *)(self + 1);
    self->given.buffers = (Py_buffer *)(pairs + query_count + header_count);
    self->given.spans = (fds_span *)(self->given.buffers + buffers);
    self->order = Py_NewRef(order);
    self->tag = PyTuple_GetItem(order, ORDER_TAG);
    attempt->endpoint = ((EndpointObject *)endpoint)->endpoint;
    attempt->credentials = Py_IsNone(credentials) ? NULL : ((CredentialsObject *)credentials)->credentials;
    attempt->query = pairs;
    attempt->query_count = query_count;
    attempt->headers = pairs + query_count;
    attempt->header_count = header_count;
    if (read_text(PyTuple_GetItem(order, ORDER_METHOD), &attempt->method, "method") < 0 ||
        read_text(PyTuple_GetItem(order, ORDER_PATH), &attempt->path, "path") < 0 || read_pairs(query, pairs, 0) < 0 ||
        read_pairs(headers, pairs + query_count, 1) < 0 || read_buffers(&self->given, body, PyBUF_SIMPLE) < 0 ||
        read_buffers(&self->given, target, PyBUF_WRITABLE) < 0 || read_scalars(attempt, order) < 0) {
        fds_module_free_attempt(self);
        return NULL;
    }
    attempt->body = self->given.spans;
    attempt->body_count = body_count;
    attempt->target = self->given.spans + body_count;
    attempt->target_count = target_count;
    return self;
}
