/* The main of a test program; and cheap assertions.
 *
 * Every ck_assert that holds sends its place to the parent process, which is what "after this point" means
 * in the report of a crash. That costs more than what is tested in a loop of a million, so after many
 * only some are sent on. A failing assertion always tells its own place.
 */
#include "tests/lib/run.h"

#include <stdlib.h>

#define SENT_AT_FIRST 5000
#define THEN_ONE_OF 1000

void __real__mark_point(const char *file, int line);
void __wrap__mark_point(const char *file, int line);

void __wrap__mark_point(const char *file, int line) {
    static unsigned long marks;
    if (++marks < SENT_AT_FIRST || marks % THEN_ONE_OF == 0) {
        __real__mark_point(file, line);
    }
}

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define __SANITIZE_ADDRESS__
#endif
#endif
#ifdef __SANITIZE_ADDRESS__
static const bool sanitized = true;
#else
static const bool sanitized = false;
#endif

int test_share(int n) {
    return !sanitized ? n : n < 5 ? 1 : n / 5;
}

bool test_is_slow(void) {
    return sanitized && !test_long();
}

bool test_long(void) {
    const char *wanted = getenv("RD_LONG");
    return wanted != NULL && wanted[0] != 0;
}

int test_run(Suite *suite) {
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
