/* The functions of libcurl and libcrypto that Debian's HDF5 calls, none of which can connect. HDF5 calls them for
 * files in Amazon's S3 alone, which Dolmen does not open; the two libraries would bring 25 others into the wheel. */

#include <stddef.h>

enum { CURLE_OK = 0, CURLE_FAILED_INIT = 2 };

int curl_global_init(long flags) { (void)flags; return CURLE_OK; }
void curl_global_cleanup(void) {}
void *curl_easy_init(void) { return NULL; }
void curl_easy_cleanup(void *handle) { (void)handle; }
int curl_easy_perform(void *handle) { (void)handle; return CURLE_FAILED_INIT; }
int curl_easy_setopt(void *handle, int option, ...) { (void)handle; (void)option; return CURLE_FAILED_INIT; }
void *curl_slist_append(void *list, const char *text) { (void)list; (void)text; return NULL; }
void curl_slist_free_all(void *list) { (void)list; }

const void *EVP_sha256(void) { return NULL; }

unsigned char *HMAC(const void *digest, const void *key, int key_size, const unsigned char *data, size_t size,
                    unsigned char *code, unsigned int *code_size) {
    (void)digest; (void)key; (void)key_size; (void)data; (void)size; (void)code; (void)code_size;
    return NULL;
}

unsigned char *SHA256(const unsigned char *data, size_t size, unsigned char *digest) {
    (void)data; (void)size; (void)digest;
    return NULL;
}
