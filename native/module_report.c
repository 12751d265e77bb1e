/* A finished or paused attempt becomes a report. */
#include "module_attempt.h"

#include "clock.h"

#include <string.h>

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

PyObject *fds_module_make_report(module_state *state, const py_attempt *self, int paused) {
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

int fds_module_add_report(PyObject *module, module_state *state) {
    state->report = PyStructSequence_NewType(&report_description);
    return state->report ? PyModule_AddObjectRef(module, "Report", (PyObject *)state->report) : -1;
}
