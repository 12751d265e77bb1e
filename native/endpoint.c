#define _GNU_SOURCE
#include "endpoint.h"

#include "clock.h"

#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

fds_endpoint *fds_endpoint_new(const char *host, const char *host_header, uint16_t port, fds_tls_context *tls) {
    fds_endpoint *endpoint = calloc(1, sizeof *endpoint);
    if (!endpoint)
        return NULL;
    atomic_init(&endpoint->references, 1);
    endpoint->host = strdup(host);
    endpoint->host_header = strdup(host_header);
    if (!endpoint->host || !endpoint->host_header) {
        fds_endpoint_release(endpoint);
        return NULL;
    }
    endpoint->tls = tls;
    endpoint->port = port;
    endpoint->connections = 16;
    endpoint->connect_timeout = 5 * FDS_SECOND;
    endpoint->stall_timeout = 30 * FDS_SECOND;
    endpoint->idle_timeout = 4 * FDS_SECOND;
    return endpoint;
}

fds_endpoint *fds_endpoint_retain(fds_endpoint *endpoint) {
    atomic_fetch_add(&endpoint->references, 1);
    return endpoint;
}

void fds_endpoint_release(fds_endpoint *endpoint) {
    if (!endpoint || atomic_fetch_sub(&endpoint->references, 1) != 1)
        return;
    fds_tls_context_free(endpoint->tls);
    free(endpoint->host);
    free(endpoint->host_header);
    free(endpoint);
}

static fds_str own(const char *text) {
    if (!text)
        return (fds_str){NULL, 0};
    return (fds_str){strdup(text), strlen(text)};
}

static void disown(fds_str *text) {
    if (text->data)
        OPENSSL_cleanse((char *)text->data, text->size);
    free((char *)text->data);
}

fds_credentials *fds_credentials_new(const char *access_key, const char *secret_key, const char *session_token,
                                     const char *region, const char *service) {
    fds_credentials *credentials = calloc(1, sizeof *credentials);
    if (!credentials)
        return NULL;
    atomic_init(&credentials->references, 1);
    fds_signer *signer = &credentials->signer;
    signer->access_key = own(access_key);
    signer->secret_key = own(secret_key);
    signer->session_token = own(session_token);
    signer->region = own(region);
    signer->service = own(service);
    if (!signer->access_key.data || !signer->secret_key.data || !signer->region.data || !signer->service.data ||
        (session_token && !signer->session_token.data)) {
        fds_credentials_release(credentials);
        return NULL;
    }
    return credentials;
}

void fds_credentials_release(fds_credentials *credentials) {
    if (!credentials || atomic_fetch_sub(&credentials->references, 1) != 1)
        return;
    disown(&credentials->signer.access_key);
    disown(&credentials->signer.secret_key);
    disown(&credentials->signer.session_token);
    disown(&credentials->signer.region);
    disown(&credentials->signer.service);
    free(credentials);
}
