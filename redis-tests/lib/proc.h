/* Processes, ports and folders of a test.
 *
 * Every process dies with the process that started it, however that ends. Whatever waits here waits for a state, with
 * a bound so generous (WAIT_SECONDS) that only a broken program reaches it; then the test fails.
 */
#ifndef RD_REDIS_TESTS_PROC_H
#define RD_REDIS_TESTS_PROC_H

#include <check.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"

#define WAIT_SECONDS 30
#define PROC_PATH 512

/* Environment variable: the folder in which all folders of this test program lie. Set by run_tests. */
#define PROC_TEMP_VARIABLE "REDYNAMO_TEST_DIR"

/* Evaluates `condition` every few milliseconds until it holds; after WAIT_SECONDS the test fails. */
#define WAIT_FOR(condition)                                                                        \
    do {                                                                                           \
        uint64_t wait_began_ms = proc_now_ms();                                                    \
        while (!(condition)) {                                                                     \
            ck_assert_msg(proc_now_ms() - wait_began_ms < WAIT_SECONDS * 1000,                     \
                          "waited in vain for: %s", #condition);                                   \
            proc_sleep_ms(5);                                                                      \
        }                                                                                          \
    } while (0)

/* Monotonic milliseconds, for bounds only. */
uint64_t proc_now_ms(void);

/* Milliseconds since 1970. */
uint64_t proc_wall_ms(void);

void proc_sleep_ms(unsigned ms);

/* The path of a program of this build, such as "src/redynamo-server"; static storage, good until the next call. */
const char *proc_built(const char *name);

/* The path of a file of the source tree; likewise. */
const char *proc_source(const char *name);

/* Starts argv[0], found on PATH, in folder `dir` (NULL: here), standard output and error appended to the file `output`.
 * Returns the process id. A program that cannot be run exits with 127. */
pid_t proc_start(char *const argv[], const char *dir, const char *output);

/* Waits until the process has ended. Returns its exit status, or 128 + the signal that ended it. */
int proc_wait(pid_t pid);

/* Runs a shell command line (formatted) to its end. Its output replaces what is in `output` (may be NULL: thrown away),
 * terminated by a zero that does not count. Returns its exit status as proc_wait. */
int proc_run(struct buf *output, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* A TCP port that nobody uses and no other test will get while this program runs. It lies outside the range
 * from which the system gives ports to connections. */
int proc_port(void);

/* An address of this machine that is not loopback; false if it has none. */
bool proc_outer_address(char out[64]);

/* Makes an empty folder, removed when the test program ends. */
void proc_temp_dir(char path[PROC_PATH]);

/* Writes `text` to the file `path`. */
void proc_write_file(const char *path, const char *text);

/* Replaces what is in `out` by the file's bytes, terminated by a zero that does not count. Returns false if there is no such file. */
bool proc_read_file(const char *path, struct buf *out);

/* Counts the lines of a file that contain `text`; a file that is not there has none. */
size_t proc_count_lines(const char *path, const char *text);

#endif
