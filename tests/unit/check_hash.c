/* base/hash: vectors of the standards, a naive CRC. */
#include "base/hash.h"

#include "base/prng.h"
#include "base/text.h"
#include "tests/lib/run.h"

#include <string.h>

static void check_md5(const char *text, const char *expected) {
    uint8_t digest[HASH_MD5_BYTES];
    char hex[2 * HASH_MD5_BYTES + 1];
    hash_md5(text, strlen(text), digest);
    text_hex(digest, sizeof digest, hex);
    ck_assert_str_eq(hex, expected);
}

START_TEST(md5_of_rfc_1321) {
    check_md5("", "d41d8cd98f00b204e9800998ecf8427e");
    check_md5("abc", "900150983cd24fb0d6963f7d28e17f72");
    check_md5("message digest", "f96b697d7cb7938d525a2f31aaf161d0");
    check_md5("1234567890123456789012345678901234567890123456789012345678901234567890"
              "1234567890",
              "57edf4a22be3c955ac49da2e2107b67a");
}
END_TEST

static void check_hmac(const void *key, size_t key_len, const char *text, const char *expected) {
    uint8_t mac[HASH_HMAC_BYTES];
    char hex[2 * HASH_HMAC_BYTES + 1];
    hash_hmac(key, key_len, text, strlen(text), mac);
    text_hex(mac, sizeof mac, hex);
    ck_assert_str_eq(hex, expected);
}

START_TEST(hmac_of_rfc_4231) {
    uint8_t key[131];
    memset(key, 0x0b, 20);
    check_hmac(key, 20, "Hi There",
               "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
    check_hmac("Jefe", 4, "what do ya want for nothing?",
               "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    memset(key, 0xaa, sizeof key);
    check_hmac(key, sizeof key, "Test Using Larger Than Block-Size Key - Hash Key First",
               "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}
END_TEST

START_TEST(hmac_takes_an_empty_key) {
    const char *expected = "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad";
    check_hmac("Jefe", 4, "before",
               "c57f2db15a4dd238a03a30d26facab15b578b35321371057cb9b2032547efd9e");
    check_hmac(NULL, 0, "", expected);
    check_hmac("", 0, "", expected);
}
END_TEST

START_TEST(xxh3_is_the_published_one) {
    ck_assert_uint_eq(hash_xxh64("", 0, 0), UINT64_C(0x2d06800538d394c2));
    ck_assert_uint_eq(hash_xxh64(NULL, 0, 0), UINT64_C(0x2d06800538d394c2));
    ck_assert_uint_eq(hash_xxh64("a", 1, 0), UINT64_C(0xe6c632b61e964e1f));
    ck_assert_uint_eq(hash_xxh64("abc", 3, 0), UINT64_C(0x78af5f94892f3950));
    ck_assert_uint_ne(hash_xxh64("abc", 3, 1), hash_xxh64("abc", 3, 0));
}
END_TEST

/* One bit at a time, as the polynomial is written. */
static uint16_t naive_crc16(const uint8_t *bytes, size_t len) {
    unsigned crc = 0;
    for (size_t i = 0; i < len * 8; i++) {
        unsigned bit = bytes[i / 8] >> (7 - i % 8) & 1;
        unsigned top = crc >> 15 & 1;
        crc = (crc << 1 & 0xffff) ^ ((top ^ bit) * 0x1021);
    }
    return (uint16_t)crc;
}

START_TEST(crc16_is_redis_clusters) {
    ck_assert_uint_eq(hash_crc16("123456789", 9), 0x31c3);
    ck_assert_uint_eq(hash_crc16("foo", 3) % 16384, 12182);
    ck_assert_uint_eq(hash_crc16("bar", 3) % 16384, 5061);
    ck_assert_uint_eq(hash_crc16("", 0), 0);
    struct prng prng;
    prng_seed(&prng, 3);
    uint8_t bytes[100];
    for (size_t len = 0; len <= sizeof bytes; len++) {
        prng_fill(&prng, bytes, len);
        ck_assert_uint_eq(hash_crc16(bytes, len), naive_crc16(bytes, len));
    }
}
END_TEST

START_TEST(equal_means_all_bytes) {
    ck_assert_int_eq(hash_equal("abc", "abc", 3), 1);
    ck_assert_int_eq(hash_equal("abc", "abd", 3), 0);
    ck_assert_int_eq(hash_equal("xbc", "abc", 3), 0);
    ck_assert_int_eq(hash_equal("abc", "abd", 2), 1);
    ck_assert_int_eq(hash_equal(NULL, NULL, 0), 1);
}
END_TEST

START_TEST(random_bytes_differ) {
    /* More than the kernel hands out in one piece without a chance of being interrupted. */
    static uint8_t a[3000];
    static uint8_t b[3000];
    hash_random_bytes(a, sizeof a);
    hash_random_bytes(b, sizeof b);
    ck_assert_mem_ne(a, b, sizeof a);
    ck_assert_mem_ne(a + 2900, b + 2900, 100);
    uint8_t guard[3] = {1, 2, 3};
    hash_random_bytes(guard, 0);
    ck_assert_mem_eq(guard, ((uint8_t[]){1, 2, 3}), 3);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("hash");
    TCase *tcase = tcase_create("hash");
    tcase_add_test(tcase, md5_of_rfc_1321);
    tcase_add_test(tcase, hmac_of_rfc_4231);
    tcase_add_test(tcase, hmac_takes_an_empty_key);
    tcase_add_test(tcase, xxh3_is_the_published_one);
    tcase_add_test(tcase, crc16_is_redis_clusters);
    tcase_add_test(tcase, equal_means_all_bytes);
    tcase_add_test(tcase, random_bytes_differ);
    suite_add_tcase(suite, tcase);
    return test_run(suite);
}
