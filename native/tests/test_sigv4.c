/* SigV4 against AWS's published vectors: the examples of the Amazon S3 API reference ("Signature Calculations for the
 * Authorization Header") and the cases of the Signature Version 4 test suite whose form a caller of ours can give. */
#include "../sigv4.h"
#include "../sigv4_core.h"
#include "check.h"

#include <stdlib.h>

#define STR(literal)                                                                                                   \
    { literal, sizeof(literal) - 1 }
#define MAX_PAIRS 8

static const fds_signer s3_signer = {STR("AKIAIOSFODNN7EXAMPLE"),
                                     STR("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"),
                                     {NULL, 0},
                                     STR("us-east-1"),
                                     STR("s3")};
static const fds_signer suite_signer = {
    STR("AKIDEXAMPLE"), STR("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"), {NULL, 0}, STR("us-east-1"), STR("service")};

/* Lists end at the first name that is NULL. */
typedef struct {
    const char *name, *method, *path;
    const char *query[MAX_PAIRS][2];
    const char *headers[MAX_PAIRS][2];
    const char *payload;
    const char *signed_headers, *signature;
} vector;

static size_t to_pairs(fds_pair *pairs, const char *const (*texts)[2]) {
    size_t count = 0;
    for (; count < MAX_PAIRS && texts[count][0] != NULL; count++)
        pairs[count] =
            (fds_pair){{texts[count][0], strlen(texts[count][0])}, {texts[count][1], strlen(texts[count][1])}};
    return count;
}

static void check_vector(const vector *given, const fds_signer *signer, const char *timestamp) {
    char hash[64], signature[64];
    fds_pair query[MAX_PAIRS], headers[MAX_PAIRS];
    CHECK_EQ(fds_sha256_hex(hash, given->payload, strlen(given->payload)), 0);
    fds_signable request = {
        .method = {given->method, strlen(given->method)},
        .path = {given->path, strlen(given->path)},
        .query = query,
        .query_count = to_pairs(query, given->query),
        .headers = headers,
        .header_count = to_pairs(headers, given->headers),
        .payload_hash = {hash, sizeof hash},
    };
    fds_signing_key *key = fds_signing_key_new();
    CHECK_EQ(fds_sigv4_signature(signature, key, signer, &request, timestamp), 0);
    if (!CHECK_MEM_EQ(signature, sizeof signature, given->signature, strlen(given->signature)))
        fprintf(stderr, "%s; canonical request:\n%.*s\n", given->name, (int)key->canonical_request.size,
                key->canonical_request.data);
    CHECK_MEM_EQ(key->signed_headers.data, key->signed_headers.size, given->signed_headers,
                 strlen(given->signed_headers));
    fds_signing_key_free(key);
}

/* It would give each string of these tables a line of its own. */
/* clang-format off */

static void the_examples_of_the_s3_reference_come_out(void) {
#define HOST {"Host", "examplebucket.s3.amazonaws.com"}
#define DATE {"x-amz-date", "20130524T000000Z"}
#define EMPTY {"x-amz-content-sha256", FDS_SHA256_OF_NOTHING}
    static const vector vectors[] = {
        {"GET Object", "GET", "/test.txt", {{0}}, {HOST, {"Range", "bytes=0-9"}, EMPTY, DATE}, "",
         "host;range;x-amz-content-sha256;x-amz-date",
         "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"},
        {"PUT Object", "PUT", "/test%24file.text", {{0}},
         {{"Date", "Fri, 24 May 2013 00:00:00 GMT"}, HOST, DATE, {"x-amz-storage-class", "REDUCED_REDUNDANCY"},
          {"x-amz-content-sha256", "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072"}},
         "Welcome to Amazon S3.", "date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class",
         "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd"},
        {"GET Bucket lifecycle", "GET", "/", {{"lifecycle", ""}}, {HOST, EMPTY, DATE}, "",
         "host;x-amz-content-sha256;x-amz-date", "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"},
        {"GET Bucket (list)", "GET", "/", {{"prefix", "J"}, {"max-keys", "2"}}, {HOST, EMPTY, DATE}, "",
         "host;x-amz-content-sha256;x-amz-date", "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"},
    };
#undef HOST
#undef DATE
#undef EMPTY
    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++)
        check_vector(&vectors[i], &s3_signer, "20130524T000000Z");
}

static void the_cases_of_the_sigv4_test_suite_come_out(void) {
#define HOST {"Host", "example.amazonaws.com"}
#define DATE {"X-Amz-Date", "20150830T123600Z"}
#define MINE(value) {"My-Header1", value}
#define UNRESERVED "-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
    static const char plain[] = "host;x-amz-date", mine[] = "host;my-header1;x-amz-date";
    const vector vectors[] = {
        {"get-vanilla", "GET", "/", {{0}}, {HOST, DATE}, "", plain,
         "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"},
        {"get-vanilla-empty-query-key", "GET", "/", {{"Param1", "value1"}}, {HOST, DATE}, "", plain,
         "a67d582fa61cc504c4bae71f336f98b97f1ea3c7a6bfe1b6e45aec72011b9aeb"},
        {"get-vanilla-query-order-key-case", "GET", "/", {{"Param2", "value2"}, {"Param1", "value1"}}, {HOST, DATE}, "",
         plain, "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500"},
        {"get-vanilla-query-order-value", "GET", "/", {{"Param1", "value2"}, {"Param1", "value1"}}, {HOST, DATE}, "",
         plain, "5772eed61e12b33fae39ee5e7012498b51d56abc0abb7c60486157bd471c4694"},
        {"get-vanilla-query-order-encoded", "GET", "/",
         {{"Param-3", "Value3"}, {"Param", "Value2"}, {"\xe1\x88\xb4", "Value1"}}, {HOST, DATE}, "", plain,
         "371d3713e185cc334048618a97f809c9ffe339c62934c032af5a0e595648fcac"},
        {"get-vanilla-query-unreserved", "GET", "/", {{UNRESERVED, UNRESERVED}}, {HOST, DATE}, "", plain,
         "9c3e54bfcdf0b19771a7f523ee5669cdf59bc7cc0884027167c21bb143a40197"},
        {"get-vanilla-utf8-query", "GET", "/", {{"\xe1\x88\xb4", "bar"}}, {HOST, DATE}, "", plain,
         "2cdec8eed098649ff3a119c94853b13c643bcf08f8b0a1d91e12c9027818dd04"},
        {"get-utf8", "GET", "/%E1%88%B4", {{0}}, {HOST, DATE}, "", plain,
         "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85"},
        {"get-space-normalized", "GET", "/example%20space/", {{0}}, {HOST, DATE}, "", plain,
         "652487583200325589f1fba4c7e578f72c47cb61beeca81406b39ddec1366741"},
        {"get-unreserved", "GET", "/" UNRESERVED, {{0}}, {HOST, DATE}, "", plain,
         "07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f"},
        {"get-relative-unnormalized", "GET", "/example/..", {{0}}, {HOST, DATE}, "", plain,
         "eca7ead57bb5aa5c8e28007acd4ff04e1ff9a0ff3b237ec1554a184887ff9282"},
        {"get-header-key-duplicate", "GET", "/", {{0}}, {HOST, MINE("value2"), MINE("value2"), MINE("value1"), DATE},
         "", mine, "c9d5ea9f3f72853aea855b47ea873832890dbdd183b4468f858259531a5138ea"},
        {"get-header-value-order", "GET", "/", {{0}},
         {HOST, MINE("value4"), MINE("value1"), MINE("value3"), MINE("value2"), DATE}, "",
         mine, "08c7e5a9acfcfeb3ab6b2185e75ce8b1deb5e634ec47601a50643f830c755c01"},
        {"get-header-value-trim", "GET", "/", {{0}},
         {HOST, MINE(" value1"), {"My-Header2", " \"a   b   c\""}, DATE}, "", "host;my-header1;my-header2;x-amz-date",
         "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736"},
        {"post-vanilla", "POST", "/", {{0}}, {HOST, DATE}, "", plain,
         "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"},
        {"post-vanilla-query", "POST", "/", {{"Param1", "value1"}}, {HOST, DATE}, "", plain,
         "28038455d6de14eafc1f9222cf5aa6f1a96197d7deb8263271d420d138af7f11"},
        {"post-header-key-case", "POST", "/", {{0}}, {{"MY-HEADER1", "value1"}, DATE, HOST}, "", mine,
         "c5410059b04c1ee005303aed430f6e6645f61f4dc9e1461ec8f8916fdf18852c"},
        {"post-header-value-case", "POST", "/", {{0}}, {MINE("VALUE1"), DATE, HOST}, "", mine,
         "cdbc9802e29d2942e5e10b5bccfdd67c5f22c7c4e8ae67b53629efa58b974b7d"},
        {"post-x-www-form-urlencoded", "POST", "/", {{0}},
         {{"Content-Type", "application/x-www-form-urlencoded"}, HOST, DATE}, "Param1=value1",
         "content-type;host;x-amz-date", "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a"},
    };
#undef HOST
#undef DATE
#undef MINE
    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++)
        check_vector(&vectors[i], &suite_signer, "20150830T123600Z");
}

/* clang-format on */

static void the_canonical_request_and_string_to_sign_are_those_of_the_s3_reference(void) {
    static const fds_pair headers[] = {{STR("Host"), STR("examplebucket.s3.amazonaws.com")},
                                       {STR("Range"), STR("bytes=0-9")},
                                       {STR("x-amz-content-sha256"), STR(FDS_SHA256_OF_NOTHING)},
                                       {STR("x-amz-date"), STR("20130524T000000Z")}};
    static const char canonical[] = "GET\n/test.txt\n\nhost:examplebucket.s3.amazonaws.com\nrange:bytes=0-9\n"
                                    "x-amz-content-sha256:" FDS_SHA256_OF_NOTHING "\nx-amz-date:20130524T000000Z\n\n"
                                    "host;range;x-amz-content-sha256;x-amz-date\n" FDS_SHA256_OF_NOTHING;
    static const char string_to_sign[] = "AWS4-HMAC-SHA256\n20130524T000000Z\n20130524/us-east-1/s3/aws4_request\n"
                                         "7344ae5b7ee6c3e7e6b0fe0640412a37625d1fbfff95c48bbb2dc43964946972";
    fds_signable request = {STR("GET"), STR("/test.txt"), NULL, 0, headers, 4, STR(FDS_SHA256_OF_NOTHING)};
    char signature[64];
    fds_signing_key *key = fds_signing_key_new();
    CHECK_EQ(fds_sigv4_signature(signature, key, &s3_signer, &request, "20130524T000000Z"), 0);
    CHECK_MEM_EQ(key->canonical_request.data, key->canonical_request.size, canonical, sizeof canonical - 1);
    CHECK_MEM_EQ(key->string_to_sign.data, key->string_to_sign.size, string_to_sign, sizeof string_to_sign - 1);
    fds_signing_key_free(key);
}

/* ---- fds_sigv4_sign ---- */

static const fds_pair list_headers[] = {{STR("Host"), STR("examplebucket.s3.amazonaws.com")},
                                        {STR("Range"), STR("bytes=0-9")},
                                        {STR("Date"), STR("unsigned")},
                                        {STR("User-Agent"), STR("unsigned")}};
static const fds_pair list_query[] = {{STR("prefix"), STR("J")}, {STR("max-keys"), STR("2")}};
static const fds_signable list_request = {
    STR("GET"), STR("/"), list_query, 2, list_headers, 4, STR(FDS_SHA256_OF_NOTHING)};
static const time_t reference_time = 1369353600; /* 2013-05-24T00:00:00Z */

static void check_signed(fds_signing_key *key, const fds_signer *signer, const fds_signable *request, time_t when,
                         const char *expected) {
    fds_buf out = {0};
    CHECK_EQ(fds_sigv4_sign(&out, signer, key, request, when), 0);
    CHECK_MEM_EQ(out.data, out.size, expected, strlen(expected));
    fds_buf_free(&out);
}

/* "GET Bucket (list)" signs just what we sign; what a proxy may rewrite stays out. */
static const char list_signed[] =
    "x-amz-date: 20130524T000000Z\r\n"
    "x-amz-content-sha256: " FDS_SHA256_OF_NOTHING "\r\n"
    "authorization: AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, "
    "SignedHeaders=host;x-amz-content-sha256;x-amz-date, "
    "Signature=34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7\r\n";

static void the_header_lines_of_the_reference_example_come_out_and_unsigned_headers_do_not_matter(void) {
    fds_signing_key *key = fds_signing_key_new();
    check_signed(key, &s3_signer, &list_request, reference_time, list_signed);
    check_signed(key, &s3_signer, &list_request, reference_time, list_signed);
    fds_signing_key_free(key);
}

static void a_header_that_is_to_be_signed_is_signed_in_any_case(void) {
    static const fds_pair headers[] = {{STR("HOST"), STR("h")},
                                       {STR("Content-MD5"), STR("rL0Y20zC+Fzt72VPzMSk2A==")},
                                       {STR("CONTENT-TYPE"), STR("text/plain")},
                                       {STR("X-Amz-Meta-A"), STR("1")},
                                       {STR("x-amzn"), STR("no")},
                                       {STR("content-length"), STR("3")}};
    fds_signable request = {STR("PUT"), STR("/k"), NULL, 0, headers, 6, STR(FDS_UNSIGNED_PAYLOAD)};
    fds_signing_key *key = fds_signing_key_new();
    fds_buf out = {0};
    static const char names[] = "content-md5;content-type;host;x-amz-content-sha256;x-amz-date;x-amz-meta-a";
    CHECK_EQ(fds_sigv4_sign(&out, &s3_signer, key, &request, reference_time), 0);
    CHECK_MEM_EQ(key->signed_headers.data, key->signed_headers.size, names, sizeof names - 1);
    fds_buf_free(&out);
    fds_signing_key_free(key);
}

static void a_session_token_is_sent_and_signed(void) {
    fds_signer signer = s3_signer;
    signer.session_token = (fds_str)STR("token/+=");
    fds_signing_key *key = fds_signing_key_new();
    fds_buf out = {0};
    static const char names[] = "host;x-amz-content-sha256;x-amz-date;x-amz-security-token";
    CHECK_EQ(fds_sigv4_sign(&out, &signer, key, &list_request, reference_time), 0);
    CHECK_MEM_EQ(key->signed_headers.data, key->signed_headers.size, names, sizeof names - 1);
    fds_buf_add_char(&out, '\0');
    CHECK(strstr(out.data, "\r\nx-amz-security-token: token/+=\r\nauthorization: ") != NULL);
    fds_buf_free(&out);
    fds_signing_key_free(key);
}

/* What a fresh key makes of it. The caller frees. */
static char *sign_afresh(const fds_signer *signer, time_t when) {
    fds_signing_key *key = fds_signing_key_new();
    fds_buf out = {0};
    CHECK_EQ(fds_sigv4_sign(&out, signer, key, &list_request, when), 0);
    fds_buf_add_char(&out, '\0');
    fds_signing_key_free(key);
    return out.data;
}

static void the_cached_key_is_derived_again_when_anything_that_it_depends_on_changes(void) {
    fds_signer secret = s3_signer, region = s3_signer, service = s3_signer, moved = s3_signer, moved_back = s3_signer;
    secret.secret_key = (fds_str)STR("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEZ");
    region.region = (fds_str)STR("eu-west-1");
    service.service = (fds_str)STR("s3express");
    moved.region = (fds_str)STR("a/b"), moved.service = (fds_str)STR("c");
    moved_back.region = (fds_str)STR("a"), moved_back.service = (fds_str)STR("b/c");
    const struct {
        const fds_signer *signer;
        time_t when;
    } steps[] = {{&s3_signer, reference_time}, {&secret, reference_time},
                 {&s3_signer, reference_time}, {&s3_signer, reference_time + 86400},
                 {&region, reference_time},    {&service, reference_time},
                 {&moved, reference_time},     {&moved_back, reference_time},
                 {&s3_signer, reference_time}};
    fds_signing_key *key = fds_signing_key_new();
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        char *expected = sign_afresh(steps[i].signer, steps[i].when);
        check_signed(key, steps[i].signer, &list_request, steps[i].when, expected);
        if (i > 0) {
            char *before = sign_afresh(steps[i - 1].signer, steps[i - 1].when);
            CHECK(strcmp(strstr(before, "Signature="), strstr(expected, "Signature=")) != 0);
            free(before);
        }
        free(expected);
    }
    fds_signing_key_free(key);
}

/* AWS4 + 100 bytes is over SHA-256's block, so HMAC hashes the key first. Expected value by Python's hmac module. */
static void a_secret_longer_than_a_hash_block_works(void) {
    fds_signer signer = s3_signer;
    char secret[100];
    memset(secret, 'k', sizeof secret);
    signer.secret_key = (fds_str){secret, sizeof secret};
    char *out = sign_afresh(&signer, reference_time);
    CHECK(strstr(out, "Signature=69ec1e061af3049973cead477b96ca2b3720fed34d776b9b4ae78644f346810f\r\n") != NULL);
    free(out);
}

static void a_time_that_has_no_date_is_refused(void) {
    fds_signing_key *key = fds_signing_key_new();
    fds_buf out = {0};
    CHECK_EQ(fds_sigv4_sign(&out, &s3_signer, key, &list_request, -1), -1);
    CHECK_EQ(fds_sigv4_sign(&out, &s3_signer, key, &list_request, 253402300800), -1);
    CHECK_EQ(out.size, 0);
    fds_buf_free(&out);
    fds_signing_key_free(key);
}

static void every_day_until_2200_has_the_date_that_the_c_library_gives_it(void) {
    for (time_t when = 0; when < 7258118400; when += 86399) {
        char ours[FDS_TIMESTAMP_SIZE], theirs[32];
        CHECK_EQ(fds_sigv4_timestamp(ours, when), 0);
        strftime(theirs, sizeof theirs, "%Y%m%dT%H%M%SZ", gmtime(&when));
        if (!CHECK_MEM_EQ(ours, sizeof ours, theirs, strlen(theirs)))
            return;
    }
    char last[FDS_TIMESTAMP_SIZE];
    CHECK_EQ(fds_sigv4_timestamp(last, 253402300799), 0);
    CHECK_MEM_EQ(last, sizeof last, "99991231T235959Z", 16);
}

/* ---- queries and hashes ---- */

static void a_query_is_sorted_by_encoded_name_then_encoded_value(void) {
    static const fds_pair query[] = {{STR("b"), STR("")},          {STR("a"), STR("z")},   {STR("a-"), STR("1")},
                                     {STR("a"), STR("/")},         {STR("a b"), STR("+")}, {STR("A"), STR("~")},
                                     {STR("\xc3\xa9"), STR("=&")}, {STR("a"), {NULL, 0}}};
    fds_buf out = {0};
    fds_buf_add_char(&out, '?');
    fds_sigv4_query(&out, query, sizeof query / sizeof *query);
    static const char expected[] = "?%C3%A9=%3D%26&A=~&a=&a=%2F&a=z&a%20b=%2B&a-=1&b=";
    CHECK_MEM_EQ(out.data, out.size, expected, sizeof expected - 1);
    fds_buf_free(&out);
}

static void no_query_is_no_text(void) {
    fds_buf out = {0};
    fds_sigv4_query(&out, NULL, 0);
    CHECK_EQ(out.size, 0);
    CHECK(!out.failed);
    fds_buf_free(&out);
}

/* Vectors of FIPS 180-2, appendix B. */
static void sha256_in_pieces_is_that_of_the_whole(void) {
    static const char text[] = "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";
    static const char expected[] = "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1";
    char hex[64];
    CHECK_EQ(fds_sha256_hex(hex, text, sizeof text - 1), 0);
    CHECK_MEM_EQ(hex, sizeof hex, expected, 64);
    for (size_t cut = 0; cut < sizeof text; cut++) {
        fds_sha256 *hash = fds_sha256_begin();
        CHECK_EQ(fds_sha256_add(hash, text, cut), 0);
        CHECK_EQ(fds_sha256_add(hash, text + cut, sizeof text - 1 - cut), 0);
        CHECK_EQ(fds_sha256_finish(hash, hex), 0);
        CHECK_MEM_EQ(hex, sizeof hex, expected, 64);
    }
    CHECK_EQ(fds_sha256_hex(hex, NULL, 0), 0);
    CHECK_MEM_EQ(hex, sizeof hex, FDS_SHA256_OF_NOTHING, 64);
}

int main(void) {
    RUN(the_examples_of_the_s3_reference_come_out);
    RUN(the_cases_of_the_sigv4_test_suite_come_out);
    RUN(the_canonical_request_and_string_to_sign_are_those_of_the_s3_reference);
    RUN(the_header_lines_of_the_reference_example_come_out_and_unsigned_headers_do_not_matter);
    RUN(a_header_that_is_to_be_signed_is_signed_in_any_case);
    RUN(a_session_token_is_sent_and_signed);
    RUN(the_cached_key_is_derived_again_when_anything_that_it_depends_on_changes);
    RUN(a_secret_longer_than_a_hash_block_works);
    RUN(a_time_that_has_no_date_is_refused);
    RUN(every_day_until_2200_has_the_date_that_the_c_library_gives_it);
    RUN(a_query_is_sorted_by_encoded_name_then_encoded_value);
    RUN(no_query_is_no_text);
    RUN(sha256_in_pieces_is_that_of_the_whole);
    return check_report();
}
