/* Loaded before a server (LD_PRELOAD): its wall clock is SKEW_SECONDS ahead. The monotonic clock stays as it is. */
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int clock_gettime(clockid_t id, struct timespec *out);

int clock_gettime(clockid_t id, struct timespec *out) {
    long rc = syscall(SYS_clock_gettime, id, out);
    const char *skew = id == CLOCK_REALTIME ? getenv("SKEW_SECONDS") : NULL;
    if (rc == 0 && skew != NULL) {
        out->tv_sec += strtol(skew, NULL, 10);
    }
    return (int)rc;
}
