#include "sigv4_core.h"

#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

static const char algorithm[] = "AWS4-HMAC-SHA256";

static char lower(char c) {
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static bool is_blank(char c) {
    return c == ' ' || c == '\t';
}

bool fds_sigv4_name_begins(fds_str name, const char *prefix) {
    for (size_t i = 0; prefix[i] != '\0'; i++)
        if (i == name.size || lower(name.data[i]) != prefix[i])
            return false;
    return true;
}

bool fds_sigv4_name_is(fds_str name, const char *word) {
    return name.size == strlen(word) && fds_sigv4_name_begins(name, word);
}

static void put(char *to, unsigned value, size_t digits) {
    while (digits-- > 0) {
        to[digits] = (char)('0' + value % 10);
        value /= 10;
    }
}

/* By arithmetic, since gmtime_r takes the C library's time-zone lock, which a fork in another thread can leave locked
 * for ever. The calendar is Howard Hinnant's civil_from_days: years begin in March, so that the leap day comes last. */
int fds_sigv4_timestamp(char out[FDS_TIMESTAMP_SIZE], time_t when) {
    const int64_t end = 253402300800; /* 10000-01-01T00:00:00Z */
    if (when < 0 || (int64_t)when >= end)
        return -1;
    unsigned second = (unsigned)((int64_t)when % 86400);
    unsigned days = (unsigned)((int64_t)when / 86400) + 719468; /* since 0000-03-01 */
    unsigned era = days / 146097, day_of_era = days % 146097;
    unsigned year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    unsigned day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    unsigned march_month = (5 * day_of_year + 2) / 153;
    unsigned month = march_month < 10 ? march_month + 3 : march_month - 9;
    put(out, era * 400 + year_of_era + (month <= 2), 4);
    put(out + 4, month, 2);
    put(out + 6, day_of_year - (153 * march_month + 2) / 5 + 1, 2);
    out[8] = 'T';
    put(out + 9, second / 3600, 2);
    put(out + 11, second / 60 % 60, 2);
    put(out + 13, second % 60, 2);
    out[15] = 'Z';
    return 0;
}

/* ---- the canonical request ---- */

static void add_text(fds_buf *out, fds_str text) {
    fds_buf_add(out, text.data, text.size);
}

static void add_lower(fds_buf *out, fds_str text) {
    if (!fds_buf_reserve(out, text.size))
        return;
    for (size_t i = 0; i < text.size; i++)
        out->data[out->size++] = lower(text.data[i]);
}

/* Without blanks at the ends, and with one space for each run of blanks within. */
static void add_folded(fds_buf *out, fds_str value) {
    if (!fds_buf_reserve(out, value.size))
        return;
    size_t begin = out->size;
    bool gap = false;
    for (size_t i = 0; i < value.size; i++) {
        if (is_blank(value.data[i])) {
            gap = true;
            continue;
        }
        if (gap && out->size > begin)
            out->data[out->size++] = ' ';
        gap = false;
        out->data[out->size++] = value.data[i];
    }
}

static int compare_names(fds_str a, fds_str b) {
    size_t shorter = a.size < b.size ? a.size : b.size;
    for (size_t i = 0; i < shorter; i++) {
        int difference = (unsigned char)lower(a.data[i]) - (unsigned char)lower(b.data[i]);
        if (difference != 0)
            return difference;
    }
    return (a.size > b.size) - (a.size < b.size);
}

/* Equal names stay in the order given: both point into one array. */
static int compare_headers(const void *left, const void *right) {
    const fds_pair *a = *(const fds_pair *const *)left;
    const fds_pair *b = *(const fds_pair *const *)right;
    int names = compare_names(a->name, b->name);
    return names != 0 ? names : (a > b) - (a < b);
}

/* The header block, an empty line, and the list of names, of which `names` tells the place. */
static void add_headers(fds_buf *out, const fds_pair **sorted, size_t count, size_t *names) {
    for (size_t i = 0; i < count; i++) {
        if (i > 0 && compare_names(sorted[i - 1]->name, sorted[i]->name) == 0) {
            out->size -= out->failed ? 0 : 1; /* the line goes on */
            fds_buf_add_char(out, ',');
        } else {
            add_lower(out, sorted[i]->name);
            fds_buf_add_char(out, ':');
        }
        add_folded(out, sorted[i]->value);
        fds_buf_add_char(out, '\n');
    }
    fds_buf_add_char(out, '\n');
    *names = out->size;
    for (size_t i = 0; i < count; i++) {
        if (i > 0 && compare_names(sorted[i - 1]->name, sorted[i]->name) == 0)
            continue;
        if (i > 0)
            fds_buf_add_char(out, ';');
        add_lower(out, sorted[i]->name);
    }
}

static int build_canonical_request(fds_signing_key *key, const fds_signable *request) {
    fds_buf *out = &key->canonical_request;
    const fds_pair **sorted = malloc((request->header_count + 1) * sizeof(const fds_pair *));
    if (sorted == NULL)
        return -1;
    for (size_t i = 0; i < request->header_count; i++)
        sorted[i] = &request->headers[i];
    qsort(sorted, request->header_count, sizeof(const fds_pair *), compare_headers);

    size_t names = 0;
    fds_buf_clear(out);
    add_text(out, request->method);
    fds_buf_add_char(out, '\n');
    add_text(out, request->path);
    fds_buf_add_char(out, '\n');
    fds_sigv4_query(out, request->query, request->query_count);
    fds_buf_add_char(out, '\n');
    add_headers(out, sorted, request->header_count, &names);
    size_t names_size = out->size - names;
    fds_buf_add_char(out, '\n');
    add_text(out, request->payload_hash);
    free(sorted);
    if (out->failed)
        return -1;
    key->signed_headers = (fds_str){out->data + names, names_size};
    return 0;
}

/* ---- the signing key ---- */

fds_signing_key *fds_signing_key_new(void) {
    fds_signing_key *key = calloc(1, sizeof *key);
    if (key != NULL && fds_hmac_init(&key->hmac) != 0) {
        fds_signing_key_free(key);
        return NULL;
    }
    return key;
}

/* What may have held the secret or a session token. */
static void wipe(fds_buf *buf) {
    OPENSSL_cleanse(buf->data, buf->capacity);
    fds_buf_free(buf);
}

void fds_signing_key_free(fds_signing_key *key) {
    if (key == NULL)
        return;
    fds_hmac_free(&key->hmac);
    wipe(&key->secret);
    wipe(&key->canonical_request);
    fds_buf_free(&key->scope);
    fds_buf_free(&key->string_to_sign);
    free(key);
}

/* Takes `size` bytes of `text` if they are `part`. */
static bool take(fds_str *text, fds_str part) {
    if (text->size < part.size || (part.size > 0 && memcmp(text->data, part.data, part.size) != 0))
        return false;
    text->data += part.size;
    text->size -= part.size;
    return true;
}

static const fds_str slash = {"/", 1};
static const fds_str terminator = {"aws4_request", 12};

static bool is_key_of(const fds_signing_key *key, const fds_signer *signer, fds_str day) {
    fds_str scope = {key->scope.data, key->scope.size};
    return scope.size > 0 && key->secret.size == signer->secret_key.size &&
           CRYPTO_memcmp(key->secret.data, signer->secret_key.data, key->secret.size) == 0 && take(&scope, day) &&
           take(&scope, slash) && key->region_size == signer->region.size && take(&scope, signer->region) &&
           take(&scope, slash) && take(&scope, signer->service) && take(&scope, slash) && take(&scope, terminator) &&
           scope.size == 0;
}

static int derive_step(fds_hmac *hmac, unsigned char step[FDS_SHA256_SIZE], fds_str data) {
    return fds_hmac_compute(hmac, step, data.data, data.size) == 0 ? fds_hmac_set_key(hmac, step, FDS_SHA256_SIZE) : -1;
}

static int derive(fds_hmac *hmac, const fds_signer *signer, fds_str day) {
    unsigned char step[FDS_SHA256_SIZE];
    fds_buf first = {0};
    fds_buf_reserve(&first, 4 + signer->secret_key.size); /* at once: a realloc would leave the secret behind */
    fds_buf_add_str(&first, "AWS4");
    add_text(&first, signer->secret_key);
    int result = first.failed ? -1 : fds_hmac_set_key(hmac, first.data, first.size);
    const fds_str data[] = {day, signer->region, signer->service, terminator};
    for (size_t i = 0; i < sizeof data / sizeof *data && result == 0; i++)
        result = derive_step(hmac, step, data[i]);
    OPENSSL_cleanse(step, sizeof step);
    wipe(&first);
    return result;
}

static int refresh(fds_signing_key *key, const fds_signer *signer, fds_str day) {
    if (is_key_of(key, signer, day))
        return 0;
    fds_buf *scope = &key->scope;
    fds_buf_clear(scope); /* no key, should anything fail */
    wipe(&key->secret);
    if (derive(&key->hmac, signer, day) != 0)
        return -1;
    add_text(&key->secret, signer->secret_key);
    const fds_str parts[] = {day, slash, signer->region, slash, signer->service, slash, terminator};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        add_text(scope, parts[i]);
    key->region_size = signer->region.size;
    if (!scope->failed && !key->secret.failed)
        return 0;
    fds_buf_clear(scope);
    wipe(&key->secret);
    return -1;
}

/* ---- the signature ---- */

int fds_sigv4_signature(char out[2 * FDS_SHA256_SIZE], fds_signing_key *key, const fds_signer *signer,
                        const fds_signable *request, const char timestamp[FDS_TIMESTAMP_SIZE]) {
    unsigned char digest[FDS_SHA256_SIZE];
    if (refresh(key, signer, (fds_str){timestamp, FDS_DAY_SIZE}) != 0 || build_canonical_request(key, request) != 0)
        return -1;
    fds_buf *canonical = &key->canonical_request;
    if (fds_sha256_with(key->hmac.work, digest, canonical->data, canonical->size) != 0)
        return -1;

    fds_buf *text = &key->string_to_sign;
    fds_buf_clear(text);
    fds_buf_add_str(text, algorithm);
    fds_buf_add_char(text, '\n');
    fds_buf_add(text, timestamp, FDS_TIMESTAMP_SIZE);
    fds_buf_add_char(text, '\n');
    fds_buf_add(text, key->scope.data, key->scope.size);
    fds_buf_add_char(text, '\n');
    fds_buf_add_hex(text, digest, sizeof digest);
    if (text->failed || fds_hmac_compute(&key->hmac, digest, text->data, text->size) != 0)
        return -1;
    fds_buf hex = {.data = out, .capacity = 2 * FDS_SHA256_SIZE}; /* just large enough: nothing is allocated */
    fds_buf_add_hex(&hex, digest, sizeof digest);
    return 0;
}
