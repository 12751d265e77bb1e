/* Endpoint and Credentials: immutable, opaque. */
#include "module.h"

#include "clock.h"

static PyObject *endpoint_new(PyTypeObject *type, PyObject *arguments, PyObject *keywords) {
    static char *names[] = {"host", "host_header", "port", "tls", "ca_file", "connections", "connect_timeout",
                            "stall_timeout", "idle_timeout", NULL};
    const char *host, *host_header, *ca_file = NULL;
    int port, tls, connections = 16;
    double connect_timeout = 5, stall_timeout = 30, idle_timeout = 4;
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "ssip|ziddd:Endpoint", names, &host, &host_header, &port,
                                     &tls, &ca_file, &connections, &connect_timeout, &stall_timeout, &idle_timeout))
        return NULL;
    if (port < 1 || port > 65535)
        return PyErr_Format(PyExc_ValueError, "port must be 1 to 65535, got %d", port);
    if (connections < 1 || connections > 1024)
        return PyErr_Format(PyExc_ValueError, "connections must be 1 to 1024, got %d", connections);
    if (!(connect_timeout > 0 && stall_timeout > 0 && idle_timeout >= 0)) {
        PyErr_SetString(PyExc_ValueError, "timeouts must be positive seconds");
        return NULL;
    }
    fds_tls_context *context = NULL;
    if (tls) {
        char why[400];
        context = fds_tls_context_new(ca_file, why, sizeof why);
        if (!context) {
            PyErr_SetString(PyExc_OSError, why);
            return NULL;
        }
    }
    fds_endpoint *endpoint = fds_endpoint_new(host, host_header, (uint16_t)port, context);
    if (!endpoint)
        return PyErr_NoMemory();
    endpoint->connections = connections;
    endpoint->connect_timeout = (int64_t)(connect_timeout * FDS_SECOND);
    endpoint->stall_timeout = (int64_t)(stall_timeout * FDS_SECOND);
    endpoint->idle_timeout = (int64_t)(idle_timeout * FDS_SECOND);
    allocfunc allocate = (allocfunc)PyType_GetSlot(type, Py_tp_alloc);
    EndpointObject *self = (EndpointObject *)allocate(type, 0);
    if (!self)
        fds_endpoint_release(endpoint);
    else
        self->endpoint = endpoint;
    return (PyObject *)self;
}

static void endpoint_dealloc(PyObject *self) {
    fds_endpoint_release(((EndpointObject *)self)->endpoint);
    fds_module_free_object(self);
}

static PyObject *endpoint_repr(PyObject *self) {
    const fds_endpoint *endpoint = ((EndpointObject *)self)->endpoint;
    return PyUnicode_FromFormat("<Endpoint %s://%s, %d connections a loop>", endpoint->tls ? "https" : "http",
                                endpoint->host_header, endpoint->connections);
}

static PyType_Slot endpoint_slots[] = {
    {Py_tp_doc, "Where to connect, and how: shared by all requests that go there."},
    {Py_tp_new, endpoint_new},
    {Py_tp_dealloc, endpoint_dealloc},
    {Py_tp_repr, endpoint_repr},
    {0, NULL},
};

static PyType_Spec endpoint_spec = {
    .name = "fastdatastore._native.Endpoint",
    .basicsize = sizeof(EndpointObject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = endpoint_slots,
};

static PyObject *credentials_new(PyTypeObject *type, PyObject *arguments, PyObject *keywords) {
    static char *names[] = {"access_key", "secret_key", "session_token", "region", "service", NULL};
    const char *access_key, *secret_key, *session_token = NULL, *region, *service = "s3";
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "sszs|s:Credentials", names, &access_key, &secret_key,
                                     &session_token, &region, &service))
        return NULL;
    fds_credentials *credentials = fds_credentials_new(access_key, secret_key, session_token, region, service);
    if (!credentials)
        return PyErr_NoMemory();
    allocfunc allocate = (allocfunc)PyType_GetSlot(type, Py_tp_alloc);
    CredentialsObject *self = (CredentialsObject *)allocate(type, 0);
    if (!self)
        fds_credentials_release(credentials);
    else
        self->credentials = credentials;
    return (PyObject *)self;
}

static void credentials_dealloc(PyObject *self) {
    fds_credentials_release(((CredentialsObject *)self)->credentials);
    fds_module_free_object(self);
}

static PyObject *credentials_repr(PyObject *self) {
    (void)self;
    return PyUnicode_FromString("<Credentials (hidden)>");
}

static PyType_Slot credentials_slots[] = {
    {Py_tp_doc, "Who signs: one immutable snapshot. Nothing reads the secrets back."},
    {Py_tp_new, credentials_new},
    {Py_tp_dealloc, credentials_dealloc},
    {Py_tp_repr, credentials_repr},
    {0, NULL},
};

static PyType_Spec credentials_spec = {
    .name = "fastdatastore._native.Credentials",
    .basicsize = sizeof(CredentialsObject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = credentials_slots,
};

int fds_module_add_endpoint(PyObject *module, module_state *state) {
    if (fds_module_add_type(module, &endpoint_spec, &state->endpoint) < 0)
        return -1;
    return fds_module_add_type(module, &credentials_spec, &state->credentials);
}
