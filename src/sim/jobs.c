/* sim/jobs: see jobs.h.
 *
 * Each child runs a share of the seeds, first + i, first + i + jobs, ..., and writes one
 * fuzz_result per seed to its pipe. The parent reads the pipes in turn, so that results come in
 * order. A child that dies is replaced behind the seed it died of. */
#include "sim/jobs.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sim/mem.h"

struct job {
    pid_t child;
    int from; /* the pipe's end for reading */
};

static void work(struct fuzz_order order, uint64_t last, unsigned step, int to) {
    for (; order.seed <= last; order.seed += step) {
        struct fuzz_result result;
        fuzz_run(&order, &result);
        const char *at = (const char *)&result;
        for (size_t left = sizeof result; left > 0;) {
            ssize_t written = write(to, at, left);
            if (written <= 0) {
                _exit(1);
            }
            at += written;
            left -= (size_t)written;
        }
        if (last - order.seed < step) {
            break;
        }
    }
    _exit(0);
}

/* The share of the job begins with seed `from`. */
static void start(struct job *job, const struct fuzz_order *order, uint64_t from, uint64_t last,
                  unsigned step) {
    struct fuzz_order mine = *order;
    mine.seed = from;
    int ends[2];
    fflush(NULL);
    if (pipe(ends) != 0 || (job->child = fork()) < 0) {
        perror("simulator");
        exit(2);
    }
    if (job->child == 0) {
        close(ends[0]);
        work(mine, last, step, ends[1]);
    }
    close(ends[1]);
    job->from = ends[0];
}

static int finish(struct job *job) {
    int status = 0;
    close(job->from);
    while (waitpid(job->child, &status, 0) < 0 && errno == EINTR) {
    }
    job->child = 0;
    return status;
}

static bool receive(struct job *job, struct fuzz_result *result) {
    char *at = (char *)result;
    for (size_t left = sizeof *result; left > 0;) {
        ssize_t got = read(job->from, at, left);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got <= 0) {
            return false;
        }
        at += got;
        left -= (size_t)got;
    }
    return true;
}

/* What is known of a seed whose process died, and a new child for those behind it. */
static void bury(struct job *job, const struct fuzz_order *order, uint64_t seed, uint64_t last,
                 unsigned step, struct fuzz_result *result) {
    int status = finish(job);
    *result = (struct fuzz_result){.seed = seed};
    snprintf(result->violation, sizeof result->violation, "died: the process ended by %s %d",
             WIFSIGNALED(status) ? "signal" : "exit status",
             WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
    if (last - seed >= step) {
        start(job, order, seed + step, last, step);
    }
}

void jobs_run(const struct fuzz_order *order, uint64_t last, unsigned jobs, jobs_done *done,
              void *arg) {
    uint64_t first = order->seed;
    struct job *running = mem_zero(jobs * sizeof *running);
    for (unsigned i = 0; i < jobs && last - first >= i; i++) {
        start(&running[i], order, first + i, last, jobs);
    }
    for (uint64_t seed = first;; seed++) {
        struct fuzz_result result;
        struct job *job = &running[(seed - first) % jobs];
        if (!receive(job, &result)) {
            bury(job, order, seed, last, jobs, &result);
        }
        if (!done(arg, &result) || seed == last) {
            break;
        }
    }
    for (unsigned i = 0; i < jobs; i++) {
        if (running[i].child != 0) {
            kill(running[i].child, SIGKILL);
            finish(&running[i]);
        }
    }
    free(running);
}
