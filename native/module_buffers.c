/* BufferPool and Region: recycled memory behind Python's buffer protocol. */
#include "module.h"

#include "bufferpool.h"

typedef struct {
    PyObject_HEAD
    fds_bufferpool *pool;
} BufferPoolObject;

typedef struct {
    PyObject_HEAD
    fds_bufferpool *pool;
    void *memory;
    size_t capacity;
    Py_ssize_t size;
    int handed_over;
} RegionObject;

/* ---- Region ---- */

static int region_getbuffer(PyObject *object, Py_buffer *view, int flags) {
    RegionObject *self = (RegionObject *)object;
    return PyBuffer_FillInfo(view, object, self->memory, self->size, 0, flags);
}

static Py_ssize_t region_length(PyObject *self) {
    return ((RegionObject *)self)->size;
}

/* Every view holds a reference to the region: when this runs, the last one is gone. */
static void region_dealloc(PyObject *object) {
    RegionObject *self = (RegionObject *)object;
    if (self->pool) {
        fds_bufferpool_give(self->pool, self->memory, self->capacity, self->handed_over);
        fds_bufferpool_release(self->pool);
    }
    fds_module_free_object(object);
}

static PyObject *region_repr(PyObject *object) {
    RegionObject *self = (RegionObject *)object;
    return PyUnicode_FromFormat("<Region of %zd bytes>", self->size);
}

static PyType_Slot region_slots[] = {
    {Py_tp_doc, "Writable memory from a BufferPool; goes back to it when the last view is gone."},
    {Py_tp_dealloc, region_dealloc},
    {Py_tp_repr, region_repr},
    {Py_sq_length, region_length},
    {Py_bf_getbuffer, region_getbuffer},
    {0, NULL},
};

static PyType_Spec region_spec = {
    .name = "fastdatastore._native.Region",
    .basicsize = sizeof(RegionObject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = region_slots,
};

/* ---- BufferPool ---- */

static PyObject *pool_new(PyTypeObject *type, PyObject *arguments, PyObject *keywords) {
    static char *names[] = {"limit", NULL};
    Py_ssize_t limit;
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "n:BufferPool", names, &limit))
        return NULL;
    if (limit < 0)
        return PyErr_Format(PyExc_ValueError, "limit must be a number of bytes, got %zd", limit);
    fds_bufferpool *pool = fds_bufferpool_new((size_t)limit);
    if (!pool)
        return PyErr_NoMemory();
    allocfunc allocate = (allocfunc)PyType_GetSlot(type, Py_tp_alloc);
    BufferPoolObject *self = (BufferPoolObject *)allocate(type, 0);
    if (!self)
        fds_bufferpool_release(pool);
    else
        self->pool = pool;
    return (PyObject *)self;
}

static void pool_dealloc(PyObject *self) {
    fds_bufferpool_release(((BufferPoolObject *)self)->pool);
    fds_module_free_object(self);
}

static PyObject *pool_take(PyObject *object, PyObject *arguments) {
    fds_bufferpool *pool = ((BufferPoolObject *)object)->pool;
    Py_ssize_t size;
    if (!PyArg_ParseTuple(arguments, "n:take", &size))
        return NULL;
    if (size < 0)
        return PyErr_Format(PyExc_ValueError, "size must be a number of bytes, got %zd", size);
    module_state *state = PyType_GetModuleState(Py_TYPE(object));
    allocfunc allocate = (allocfunc)PyType_GetSlot(state->region, Py_tp_alloc);
    RegionObject *region = (RegionObject *)allocate(state->region, 0);
    if (!region)
        return NULL;
    region->memory = fds_bufferpool_take(pool, (size_t)size, &region->capacity);
    if (!region->memory) {
        Py_DECREF(region);
        return PyErr_NoMemory();
    }
    region->pool = fds_bufferpool_retain(pool);
    region->size = size;
    return (PyObject *)region;
}

static PyObject *pool_hand_over(PyObject *self, PyObject *argument) {
    module_state *state = PyType_GetModuleState(Py_TYPE(self));
    RegionObject *region = (RegionObject *)argument;
    if (Py_TYPE(argument) != state->region || region->pool != ((BufferPoolObject *)self)->pool)
        return PyErr_Format(PyExc_ValueError, "%R is no region of this pool", argument);
    if (!region->handed_over)
        fds_bufferpool_hand_over(region->pool, region->capacity);
    region->handed_over = 1;
    Py_RETURN_NONE;
}

static PyObject *pool_trim(PyObject *self, PyObject *arguments) {
    Py_ssize_t keep = 0;
    if (!PyArg_ParseTuple(arguments, "|n:trim", &keep))
        return NULL;
    fds_bufferpool_trim(((BufferPoolObject *)self)->pool, keep > 0 ? (size_t)keep : 0);
    Py_RETURN_NONE;
}

static PyObject *pool_in_flight(PyObject *self, void *ignored) {
    (void)ignored;
    fds_bufferpool_state state = fds_bufferpool_look(((BufferPoolObject *)self)->pool);
    return PyLong_FromSize_t(state.in_use_bytes - state.handed_bytes);
}

static PyObject *pool_state(PyObject *self, PyObject *ignored) {
    (void)ignored;
    fds_bufferpool_state state = fds_bufferpool_look(((BufferPoolObject *)self)->pool);
    return Py_BuildValue("{s:n,s:n,s:n,s:n,s:n,s:K,s:K}", "in_use_bytes", (Py_ssize_t)state.in_use_bytes,
                         "in_use_regions", (Py_ssize_t)state.in_use_regions, "handed_bytes",
                         (Py_ssize_t)state.handed_bytes, "free_bytes", (Py_ssize_t)state.free_bytes, "free_regions",
                         (Py_ssize_t)state.free_regions, "mapped", (unsigned long long)state.mapped, "recycled",
                         (unsigned long long)state.recycled);
}

static PyObject *pool_repr(PyObject *self) {
    fds_bufferpool_state state = fds_bufferpool_look(((BufferPoolObject *)self)->pool);
    return PyUnicode_FromFormat("<BufferPool in use: %zu bytes in %zu regions | free: %zu bytes in %zu regions>",
                                state.in_use_bytes, state.in_use_regions, state.free_bytes, state.free_regions);
}

static PyMethodDef pool_methods[] = {
    {"take", pool_take, METH_VARARGS, PyDoc_STR("take(size): a Region of `size` bytes, its contents undefined.")},
    {"hand_over", pool_hand_over, METH_O,
     PyDoc_STR("hand_over(region): it is its owner's from now on, and not in flight any more.")},
    {"trim", pool_trim, METH_VARARGS,
     PyDoc_STR("trim(keep=0): returns the oldest free regions to the system until `keep` bytes are left.")},
    {"state", pool_state, METH_NOARGS, PyDoc_STR("state(): bytes and regions in use and free, as a dict.")},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef pool_attributes[] = {
    {"in_flight", pool_in_flight, NULL, PyDoc_STR("Bytes of regions in use that have not been handed over."), NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot pool_slots[] = {
    {Py_tp_doc, "Recycled, huge-page-advised memory. limit: most bytes in flight and kept for the next region; "
                "what is in flight may be more."},
    {Py_tp_getset, pool_attributes},
    {Py_tp_new, pool_new},
    {Py_tp_dealloc, pool_dealloc},
    {Py_tp_repr, pool_repr},
    {Py_tp_methods, pool_methods},
    {0, NULL},
};

static PyType_Spec pool_spec = {
    .name = "fastdatastore._native.BufferPool",
    .basicsize = sizeof(BufferPoolObject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = pool_slots,
};

int fds_module_add_buffers(PyObject *module, module_state *state) {
    if (fds_module_add_type(module, &region_spec, &state->region) < 0)
        return -1;
    return fds_module_add_type(module, &pool_spec, &state->buffer_pool);
}
