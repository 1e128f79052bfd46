/* A file system for SQLite that writes everything down, and fails on demand: simulated power failures and broken disks.
 *
 * It is the system's own one underneath. What goes through it (and what is told to it by shim_note_sync and shim_mark) is kept as a
 * trace; from a prefix of the trace an image of the folder can be made as a power failure at that point may leave
 * it: what was synced is there, of the rest any part. One trace per process; any thread may write.
 */
#ifndef RD_TESTS_SHIM_VFS_H
#define RD_TESTS_SHIM_VFS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SHIM_VFS "shim"

enum shim_op { SHIM_READ, SHIM_WRITE, SHIM_TRUNCATE, SHIM_SYNC, SHIM_OPS };

/* Registers the VFS; once per process, before it is used. */
void shim_register(void);

/* Forgets the trace. */
void shim_clear(void);

/* The file at `path` was synced past the VFS. */
void shim_note_sync(const char *path);

/* A number in the trace: what the test knows at this point. `strong`: a second kind of mark. */
void shim_mark(uint64_t number, bool strong);

/* The n-th operation of that kind from now on fails (1: the next), and, if `for_good`, all behind it; `full`: as on a full
 * disk. */
void shim_fail(enum shim_op op, unsigned n, bool for_good, bool full);

/* Something past the VFS counts as such an operation: must it fail? */
bool shim_must_fail(enum shim_op op);

/* Ends the failing; true if anything failed. */
bool shim_stop(void);

/* How many steps the trace has. */
size_t shim_steps(void);

enum shim_loss {
    SHIM_LOSE_ALL,  /* what was not synced is gone */
    SHIM_LOSE_SOME, /* each write that was not synced is there, gone, or torn, as the seed says */
    SHIM_LOSE_NONE
};

struct shim_image;

/* An image at the beginning of the trace. */
struct shim_image *shim_image_new(void);

/* Goes on by one step of the trace. */
void shim_image_step(struct shim_image *image);

/* Writes the files as a power failure now would leave them into the empty folder `dir`. */
void shim_image_write(const struct shim_image *image, const char *dir, enum shim_loss loss,
                      uint64_t seed);

/* The last marks of the steps so far; 0 if there were none. */
uint64_t shim_image_mark(const struct shim_image *image, bool strong);

/* Frees. */
void shim_image_free(struct shim_image *image);

#endif
