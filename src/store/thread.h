/* Threads of the store. */
#ifndef RD_STORE_THREAD_H
#define RD_STORE_THREAD_H

#include <pthread.h>

#include "base/err.h"

/* Starts `run(arg)` in a thread with all signals blocked: they belong to the loop's thread. To be joined. Error: RD_ENOMEM. */
enum rd_err thread_start(pthread_t *thread, void *(*run)(void *arg), void *arg);

#endif
